package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/action"
	releaser "helm.sh/helm/v4/pkg/release"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// looked are releases in memory that say when they are looked at.
type looked struct {
	*driver.Memory
	look func()
}

func (w looked) Query(labels map[string]string) ([]releaser.Releaser, error) {
	w.look()
	return w.Memory.Query(labels)
}

// TestAWaitThatEndsInALookIsForTheRelease ends the time of who waits for a release while it is looked at once more.
func TestAWaitThatEndsInALookIsForTheRelease(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	held := looked{driver.NewMemory(), func() {
		if looks++; looks == 2 {
			cancel()
			<-t.Context().Done() // the answer comes too late
		}
	}}
	one := &release.Release{Name: releaseName, Namespace: "n", Version: 1, Info: &release.Info{Status: common.StatusPendingInstall, LastDeployed: time.Now()}}
	if err := held.Create("one", one); err != nil {
		t.Fatal(err)
	}
	r := &releases{cfg: Config{Stale: time.Hour}, helm: &action.Configuration{Releases: storage.Init(held)}, in: "n"}
	if _, err := r.settled(ctx); !errors.Is(err, backend.ErrUnready) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the release is not ready", err)
	}
}
