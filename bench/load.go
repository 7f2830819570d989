package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldlog/fieldlog/internal/pause"
)

// shape is what a request looks like.
type shape struct {
	reports, readings int // reports a request, readings a report
}

func (s shape) String() string {
	if n := s.reports * s.readings; n != 1 {
		return fmt.Sprintf("%d readings a request", n)
	}
	return "1 reading a request"
}

// body is a request of that shape from one sender, as NDJSON.
func (s shape) body(sender int) []byte {
	var b bytes.Buffer
	for report := range s.reports {
		fmt.Fprintf(&b, `{"client":"client-%d","device":"device-%d-%d","readings":{`, sender%10, sender, report)
		for reading := range s.readings {
			if reading > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `"metric_%d":%d.%02d`, reading, 20+reading%7, (sender*31+report*17+reading*7)%100)
		}
		b.WriteString("}}\n")
	}
	return b.Bytes()
}

// senders is how many requests are under way at a time.
const senders = 32

// load posts bodies of a shape until ctx ends or the time is up, at most perSecond readings a second if that is not 0. It
// returns the readings that were acknowledged.
func load(ctx context.Context, url string, s shape, d time.Duration, perSecond float64) (readings int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	var acknowledged atomic.Int64
	failed := make(chan error, senders)
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			body, each := s.body(sender), s.reports*s.readings
			interval := time.Duration(0)
			if perSecond > 0 {
				interval = time.Duration(float64(each*senders) / perSecond * 1e9)
			}
			for next := time.Now(); ctx.Err() == nil; {
				if err := post(ctx, client, url, body); err == nil {
					acknowledged.Add(int64(each))
				} else if ctx.Err() == nil {
					failed <- err
					return
				}
				if next = next.Add(interval); interval > 0 {
					pause.For(ctx, time.Until(next))
				}
			}
		})
	}
	wg.Wait()
	select {
	case err = <-failed:
	default:
	}
	return acknowledged.Load(), err
}

// post sends one request. A request that the end of the run cuts off is not an acknowledged one.
func post(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("got %s: %s", resp.Status, text)
	}
	return nil
}
