package main

//	--registry -> GET and POST of a Confluent-compatible registry, for the commands that look at it from outside

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// registry asks a schema registry.
type registry struct {
	cfg    eventlog.Config
	client *http.Client
}

func newRegistry(cfg eventlog.Config) *registry {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = cfg.TLS
	return &registry{cfg: cfg, client: &http.Client{Transport: transport, Timeout: reachTime}}
}

// errNotRegistered says that the registry does not know what was asked for.
var errNotRegistered = errors.New("not registered")

// ask sends a request, with a body if there is one, and decodes the answer.
func (r *registry) ask(ctx context.Context, method, path string, body, answer any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(r.cfg.Registry, "/")+path, content)
	if err != nil {
		return usagef("--registry: %w", err)
	}
	req.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	if r.cfg.RegistryUser != "" {
		req.SetBasicAuth(r.cfg.RegistryUser, r.cfg.RegistryPassword)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return unavailable{fmt.Errorf("reach schema registry: %w; see --registry", err)}
	}
	defer func() { _ = res.Body.Close() }() // it was read; nothing can be lost
	text, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	switch {
	case err != nil:
		return fmt.Errorf("read the registry's answer: %w", err)
	case res.StatusCode == http.StatusNotFound:
		return errNotRegistered
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("the registry answers %d: %.300s", res.StatusCode, text)
	}
	return json.Unmarshal(text, answer)
}

// registered is one version of a subject.
type registered struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
	ID      int    `json:"id"`
	Schema  string `json:"schema"`
}

func (r *registry) subjects(ctx context.Context) (subjects []string, err error) {
	return subjects, r.ask(ctx, http.MethodGet, "/subjects", nil, &subjects)
}

// versions returns the numbers of a subject's versions, none when it is not registered.
func (r *registry) versions(ctx context.Context, subject string) (versions []int, err error) {
	err = r.ask(ctx, http.MethodGet, "/subjects/"+url.PathEscape(subject)+"/versions", nil, &versions)
	if errors.Is(err, errNotRegistered) {
		return nil, nil
	}
	return versions, err
}

func (r *registry) version(ctx context.Context, subject, version string) (v registered, err error) {
	return v, r.ask(ctx, http.MethodGet, "/subjects/"+url.PathEscape(subject)+"/versions/"+version, nil, &v)
}

// compatible asks whether a schema is compatible with a version. The answer's status is 200 either way.
func (r *registry) compatible(ctx context.Context, subject string, version int, schema string) (bool, string, error) {
	var verdict struct {
		Compatible *bool    `json:"is_compatible"`
		Messages   []string `json:"messages"`
	}
	path := fmt.Sprintf("/compatibility/subjects/%s/versions/%d?verbose=true", url.PathEscape(subject), version)
	if err := r.ask(ctx, http.MethodPost, path, map[string]string{"schema": schema}, &verdict); err != nil {
		return false, "", err
	}
	if verdict.Compatible == nil {
		return false, "", errors.New("the registry's answer has no is_compatible")
	}
	return *verdict.Compatible, strings.Join(verdict.Messages, "; "), nil
}
