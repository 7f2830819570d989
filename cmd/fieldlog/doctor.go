package main

//	checks of the machine (checks_machine.go) and of what runs (checks_services.go) -> ✓ or ✗ with what to change

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/library"
	"github.com/fieldlog/fieldlog/internal/settings"
)

type doctorFlags struct {
	log        logFlags
	clickhouse clickhouseFlags
	data       string
	gateway    string
	asJSON     bool
}

func (p *program) doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what is wrong with this set-up, and what to change",
		Long: `Looks at this machine and at what runs, and prints for each point whether it is well (✓), wrong (✗, with what to
change) or could not be looked at because nothing runs there (–). The exit code is 1 when anything is wrong.`,
		Example: "  fieldlog doctor\n  fieldlog doctor --json | jq 'select(.status==\"wrong\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.doctor(cmd.Context(), &f, cmd.Root())
		},
	}
	f.log.bind(cmd.Flags(), defaultBrokers, defaultRegistry)
	f.clickhouse.bind(cmd.Flags(), defaultClickHouse)
	cmd.Flags().StringVar(&f.data, "data", "./data", "data folder of the embedded engines")
	cmd.Flags().StringVar(&f.gateway, "url", defaultGateway, "URL of the gateway")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON lines")
	return cmd
}

// finding is what a check found.
type finding struct {
	Check  string `json:"check"`
	Status status `json:"status"`
	Detail string `json:"detail"`
	Change string `json:"change,omitempty"`
}

type status string

const (
	well    status = "well"
	wrong   status = "wrong"
	nothing status = "not running"
)

func (s status) mark() string {
	switch s {
	case well:
		return "✓"
	case wrong:
		return "✗"
	}
	return "–"
}

// examination collects findings.
type examination struct {
	bound    time.Duration // of each check of what runs
	findings []finding
}

func (e *examination) well(check, format string, args ...any) {
	e.findings = append(e.findings, finding{Check: check, Status: well, Detail: fmt.Sprintf(format, args...)})
}

func (e *examination) nothing(check, format string, args ...any) {
	e.findings = append(e.findings, finding{Check: check, Status: nothing, Detail: fmt.Sprintf(format, args...)})
}

func (e *examination) wrong(check, change, format string, args ...any) {
	e.findings = append(e.findings, finding{check, wrong, fmt.Sprintf(format, args...), change})
}

func (p *program) doctor(ctx context.Context, f *doctorFlags, root *cobra.Command) error {
	cfg, err := f.log.config()
	if err != nil {
		return err
	}
	logger, err := p.newLogger(p.stderr, "error", "text")
	if err != nil {
		return err
	}
	e := examination{bound: p.checkTime}
	e.environment(p.environment, root)
	e.folder(f.data)
	e.engineLibrary()
	e.limits()
	e.services(ctx, f, cfg, logger)
	if ctx.Err() != nil {
		return errInterrupted
	}
	return p.report(e.findings, f.asJSON)
}

func (p *program) report(findings []finding, asJSON bool) error {
	var failed error
	out := json.NewEncoder(p.stdout)
	for _, found := range findings {
		if found.Status == wrong {
			failed = errSilent
		}
		if asJSON {
			if err := out.Encode(found); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(p.stdout, "%s %-15s %s\n", found.Status.mark(), found.Check, found.Detail)
		if found.Change != "" {
			fmt.Fprintf(p.stdout, "  %-15s → %s\n", "", found.Change)
		}
	}
	return failed
}

// environment looks for FIELDLOG_ variables that nothing reads.
func (e *examination) environment(environment []string, root *cobra.Command) {
	unknown := settings.Unknown(environment, allFlags(root)...)
	unknown = slices.DeleteFunc(unknown, func(name string) bool { return name == library.EnvOverride })
	if len(unknown) == 0 {
		e.well("environment", "every %s variable that is set is one we read", settings.Prefix)
		return
	}
	e.wrong("environment", "mend the names; fieldlog COMMAND -h lists them", "nothing reads %v", unknown)
}

// allFlags returns the flags of a command and of all below it.
func allFlags(cmd *cobra.Command) []*pflag.FlagSet {
	sets := append(make([]*pflag.FlagSet, 0, 2+2*len(cmd.Commands())), cmd.Flags(), cmd.PersistentFlags())
	for _, sub := range cmd.Commands() {
		sets = append(sets, allFlags(sub)...)
	}
	return sets
}
