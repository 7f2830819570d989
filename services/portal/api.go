package portal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// api is the gateway's HTTP interface, as far as the portal uses it.
type api struct {
	base, token string
	client      *http.Client
}

const (
	apiTimeout = 45 * time.Second // a form waits for the registrar
	maxAnswer  = 32 << 20         // bytes of an answer that are read
)

func newAPI(cfg Config) *api {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: apiTimeout}
	return &api{base: strings.TrimRight(cfg.Gateway, "/"), token: cfg.Token, client: &http.Client{Transport: transport}}
}

// refused is an answer of the gateway that is no success.
type refused struct {
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Reason  string `json:"reason"`
	Version int32  `json:"version"`
	Errors  []struct {
		Field  string `json:"field"`
		Reason string `json:"reason"`
	} `json:"errors"`
}

// Error implements error.
func (r *refused) Error() string { return r.Detail }

// call is one request. A body is sent as JSON.
type call struct {
	method, path string
	query        url.Values
	header       http.Header
	body         any
}

func (a *api) send(ctx context.Context, c call) (*http.Response, error) {
	var body io.Reader
	if c.body != nil {
		text, err := json.Marshal(c.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, a.base+c.path+"?"+c.query.Encode(), body)
	if err != nil {
		return nil, err
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	if c.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := a.client.Do(req)
	if err != nil {
		return nil, &unreachable{fmt.Errorf("ask the gateway: %w", err)}
	}
	if res.StatusCode >= 300 {
		defer res.Body.Close()
		no := &refused{}
		text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what arrived of it is told
		if json.Unmarshal(text, no) != nil || no.Detail == "" {
			no.Detail = "the gateway answers " + res.Status
		}
		no.Status = res.StatusCode
		return nil, no
	}
	return res, nil
}

// unreachable is an error of something that does not answer.
type unreachable struct{ err error }

func (u *unreachable) Error() string { return u.err.Error() }
func (u *unreachable) Unwrap() error { return u.err }

// ask sends a call and reads its JSON answer into v.
func (a *api) ask(ctx context.Context, c call, v any) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	res, err := a.send(ctx, c)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(v); err != nil {
		return &unreachable{fmt.Errorf("read the gateway's answer to %s: %w", c.path, err)}
	}
	return nil
}

// orders returns a page of orders, and where the next one goes on.
func (a *api) orders(ctx context.Context, query url.Values) (ordersPage, error) {
	var page ordersPage
	err := a.ask(ctx, call{method: http.MethodGet, path: "/v1/orders", query: query}, &page)
	return page, err
}

// order returns an order of a client.
func (a *api) order(ctx context.Context, client, id string) (order, error) {
	var o order
	err := a.ask(ctx, call{method: http.MethodGet, path: "/v1/orders/" + url.PathEscape(id), query: url.Values{"client": {client}}}, &o)
	return o, err
}

// clientOf returns a client with what was told of it.
func (a *api) clientOf(ctx context.Context, name string, query url.Values) (client, error) {
	var c client
	err := a.ask(ctx, call{method: http.MethodGet, path: "/v1/clients/" + url.PathEscape(name), query: query}, &c)
	return c, err
}

// place orders. The answer is the registrar's, unless that took too long.
func (a *api) place(ctx context.Context, o *wanted, trace string, wait time.Duration) (decision, error) {
	return a.decide(ctx, call{method: http.MethodPost, path: "/v1/orders", body: o}, trace, wait)
}

// change asks for other terms of an order that is at a version.
func (a *api) change(ctx context.Context, id string, version int32, o *wanted, trace string, wait time.Duration) (decision, error) {
	c := call{method: http.MethodPut, path: "/v1/orders/" + url.PathEscape(id), body: o, header: ifMatch(version)}
	return a.decide(ctx, c, trace, wait)
}

// cancel gives an order up that is at a version.
func (a *api) cancel(ctx context.Context, id string, version int32, o *wanted, trace string, wait time.Duration) (decision, error) {
	c := call{method: http.MethodDelete, path: "/v1/orders/" + url.PathEscape(id), body: o, header: ifMatch(version)}
	return a.decide(ctx, c, trace, wait)
}

// intervene has the provisioner try again what failed of an order, or give it up.
func (a *api) intervene(ctx context.Context, id string, version int32, action schemas.Intervention, o *wanted) (decision, error) {
	c := call{method: http.MethodPost, path: "/v1/orders/" + url.PathEscape(id) + "/" + string(action), body: o}
	if version != 0 {
		c.header = ifMatch(version)
	}
	var d decision
	err := a.ask(ctx, c, &d)
	return d, err
}

func ifMatch(version int32) http.Header {
	return http.Header{"If-Match": {`"` + strconv.Itoa(int(version)) + `"`}}
}

func (a *api) decide(ctx context.Context, c call, trace string, wait time.Duration) (decision, error) {
	c.query = url.Values{"wait": {wait.String()}}
	if c.header == nil {
		c.header = http.Header{}
	}
	c.header.Set("Traceparent", traceparent(trace))
	var d decision
	err := a.ask(ctx, c, &d)
	return d, err
}

// events returns records of a topic as JSON tells them.
func (a *api) events(ctx context.Context, topic string, query url.Values) ([]line, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	res, err := a.send(ctx, call{method: http.MethodGet, path: "/v1/topics/" + url.PathEscape(topic) + "/events", query: query})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var lines []line
	decoder := json.NewDecoder(io.LimitReader(res.Body, maxAnswer))
	for {
		var l struct {
			line
			Problem *refused `json:"problem"`
		}
		switch err := decoder.Decode(&l); {
		case errors.Is(err, io.EOF):
			return lines, nil
		case err != nil:
			return lines, &unreachable{fmt.Errorf("read topic %q: %w", topic, err)}
		case l.Problem != nil:
			return lines, l.Problem
		}
		lines = append(lines, l.line)
	}
}
