package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// auditTime bounds one run of the program's own audit.
const auditTime = 2 * time.Minute

// audit runs "fieldlog audit" over everything, which compares the gateways' own receipts, the log and ClickHouse, and returns
// what it finds.
func (i *installation) audit(ctx context.Context) ([]violation, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTime)
	defer cancel()
	at := i.engines.at()
	cmd := exec.CommandContext(ctx, i.program, "audit", "--from", "start", "--json", "--wait=1m",
		"--brokers", at.Kafka, "--registry", at.Registry, "--clickhouse", at.ClickHouse)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &ended) && ended.ExitCode() == 1:
		return []violation{{audited, differences(string(out)) + complaint.String()}}, nil
	}
	return nil, fmt.Errorf("audit: %w: %s", err, complaint.String())
}

// differences returns the lines of an audit that tell of one.
func differences(out string) string {
	var found []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, `"difference":`) && len(found) < shown {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return strings.Join(found, "; ")
}
