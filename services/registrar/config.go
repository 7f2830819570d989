package registrar

import (
	"errors"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/clients"
)

// Config says how to decide. The zero value of every optional field means its default.
type Config struct {
	// Group shares the partitions among the processes that have the same. Default "registrar".
	Group eventlog.Group
	// Owner begins the transaction ids. Default "registrar": one registrar decides, whatever its group.
	Owner eventlog.TransactionID
	// MaxRecords bounds the inputs of a transaction. Default 500.
	MaxRecords int
	// Products is what may be ordered. Required.
	Products clients.Products
}

func (c Config) withDefaults() Config {
	if c.Group == "" {
		c.Group = "registrar"
	}
	if c.Owner == "" {
		c.Owner = "registrar"
	}
	if c.MaxRecords == 0 {
		c.MaxRecords = 500
	}
	return c
}

// Validate names the flag to change.
func (c Config) Validate() error {
	switch {
	case c.Products == nil:
		return errors.New("there is no product catalogue: see --products")
	case c.MaxRecords < 0 || c.MaxRecords > 10_000:
		return errors.New("--registrar-batch is a number from 1 to 10000")
	}
	return nil
}
