package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/projections/duplicates"
)

// retryFlags say how far back a report that is sent again is recognised. Gateways and analytics must have the same.
type retryFlags struct{ limits duplicates.Limits }

func (r *retryFlags) bind(flags *pflag.FlagSet) {
	flags.Int64Var(&r.limits.Reports, "retry-reports", 1_000_000, "reports of a partition within which one that is sent again is recognised; the same for all services")
	flags.DurationVar(&r.limits.Age, "retry-age", 10*time.Minute, "time within which one is recognised, if that reaches farther; the same for all services")
	flags.IntVar(&r.limits.Entries, "retry-entries", 4_000_000, "reports with ids remembered in a partition, 32 bytes each; the same for all services")
}
