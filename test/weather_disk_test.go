package test

import (
	"net/http"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/embedded/smalldisk"
)

// TestTheDiskIsFull has the embedded engines on a disk that somebody else fills: first the tables take nothing, then the log, then
// nothing at all fits. It is freed, and later the tree is killed.
func TestTheDiskIsFull(t *testing.T) {
	disk := smalldisk.New(t, 1500<<20)
	s := up(t, disk.Dir, "--block-age", "100ms", "--confirm", "2s")
	r := newTraffic(s.Gateway, 4, 20*time.Millisecond, 0)
	s.awaitMetrics("rows are stored", func(m measured) bool { return m["fieldlog_analytics_rows_total"] > 0 })

	before := s.measure()
	disk.Fill(t, 400<<20) // less than the engine insists on, more than the broker does
	s.awaitMetrics("inserts are refused", func(m measured) bool { return m[failures] > before[failures] && m[lag] > 0 })
	s.says("NOT_ENOUGH_SPACE", 1)
	r.await(t, http.StatusOK, 50)

	disk.Fill(t, 200<<20)
	s.says("the disk is nearly full", 1)
	r.await(t, http.StatusServiceUnavailable, 8)
	disk.Fill(t, 0)
	r.await(t, http.StatusServiceUnavailable, 8)

	disk.Clear(t)
	s.says("there is room on the disk again", 1)
	r.await(t, http.StatusOK, 50) // without a restart
	r.stop(t, http.StatusOK, http.StatusServiceUnavailable)
	s.allStored()
	s.kill() // what is only in memory is gone
	again := up(t, disk.Dir)
	again.allStored()
	r.check(t, again)
	again.kill() // before its disk goes
}
