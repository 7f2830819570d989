package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"helm.sh/helm/v4/pkg/kube"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// within returns what a call of Helm's returns, or why ctx has ended as soon as it has. Helm's calls don't end with a context; where one
// takes it, it notes a failure while its work goes on. So none gets ours: what is left behind goes on undisturbed.
func within[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	if err := ctx.Err(); err != nil {
		return *new(T), err
	}
	answered := make(chan answer, 1)
	go func() {
		value, err := call()
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
}

// act changes the release. What Helm waits for, for hooks and for workloads, ends after Config.Rollout altogether, also when nobody
// waits for Helm any more.
func (r *releases) act(ctx context.Context, doing string, change func([]kube.WaitOption) error) error {
	_, err := within(ctx, func() (struct{}, error) {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Rollout)
		defer cancel()
		return struct{}{}, change([]kube.WaitOption{kube.WithWaitContext(bound)})
	})
	return failed(doing+" the release in", r.in, err)
}

// client is Helm's, with waits that say when it is the workload that does not come up.
type client struct{ *kube.Client }

// GetWaiterWithOptions implements kube.InterfaceWaitOptions.
func (c client) GetWaiterWithOptions(s kube.WaitStrategy, options ...kube.WaitOption) (kube.Waiter, error) {
	w, err := c.Client.GetWaiterWithOptions(s, options...)
	if err != nil {
		return nil, err
	}
	return waiter{w}, nil
}

type waiter struct{ kube.Waiter }

// Wait implements kube.Waiter.
func (w waiter) Wait(made kube.ResourceList, timeout time.Duration) error {
	return awaited(w.Waiter.Wait(made, timeout))
}

// WaitWithJobs implements kube.Waiter.
func (w waiter) WaitWithJobs(made kube.ResourceList, timeout time.Duration) error {
	return awaited(w.Waiter.WaitWithJobs(made, timeout))
}

// WatchUntilReady implements kube.Waiter, for hooks.
func (w waiter) WatchUntilReady(made kube.ResourceList, timeout time.Duration) error {
	return awaited(w.Waiter.WatchUntilReady(made, timeout))
}

// awaited returns an error of a wait, as the workload's where the cluster itself does not say that it is the matter.
func awaited(err error) error {
	var status apierrors.APIStatus
	if err == nil || errors.As(err, &status) {
		return err
	}
	return fmt.Errorf("%w: %w", backend.ErrUnready, err)
}
