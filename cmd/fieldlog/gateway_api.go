package main

//	a command -> HTTP JSON -> the gateway; problem documents become errors

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/internal/settings"
)

// gatewayAPI is how commands talk to a gateway.
type gatewayAPI struct{ url, token string }

func (a *gatewayAPI) bind(flags *pflag.FlagSet) {
	flags.StringVar(&a.url, "url", defaultGateway, "URL of the gateway")
	settings.Secret(flags, &a.token, "gateway-token", "access token of the gateway")
}

// The bounds of a request.
const (
	apiTime  = time.Minute
	apiBytes = 64 << 20
)

func (a *gatewayAPI) get(ctx context.Context, path string, into any) error {
	return a.send(ctx, http.MethodGet, path, http.Header{}, nil, into)
}

// send makes a request and reads its answer. An answer that is no success is an error in the gateway's words.
func (a *gatewayAPI) send(ctx context.Context, method, path string, header http.Header, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, apiTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.url, "/")+path, bytes.NewReader(body))
	if err != nil {
		return usagef("--url: %w", err)
	}
	req.Header = header.Clone()
	req.Header.Set("Content-Type", "application/json")
	if token, _, _ := strings.Cut(a.token, ","); token != "" {
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return unavailable{fmt.Errorf("reach the gateway: %w; is it running? See --url, or start \"fieldlog up\"", err)}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, apiBytes))
	if err != nil {
		return unavailable{fmt.Errorf("read the gateway's answer: %w", err)}
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return refusal(resp, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read the gateway's answer: %w", err)
	}
	return nil
}

// refusal is what the gateway said.
func refusal(resp *http.Response, text []byte) error {
	var problem struct {
		Detail, Reason string
		TraceID        string `json:"trace_id"`
	}
	if json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		return fmt.Errorf("the gateway answered %s", resp.Status)
	}
	message := problem.Detail
	if problem.Reason != "" {
		message = problem.Reason + ": " + message
	}
	if problem.TraceID != "" {
		message += " (trace " + problem.TraceID + ")"
	}
	return fmt.Errorf("the gateway answered %d: %s", resp.StatusCode, message)
}
