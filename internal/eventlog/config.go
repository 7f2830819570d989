package eventlog

import (
	"crypto/tls"
	"errors"
	"time"
)

// Config says which log to use. The zero value of every optional field means its default.
type Config struct {
	// Brokers are host:port addresses of Kafka-protocol brokers. Required.
	Brokers []string
	// Registry is the URL of a Confluent-compatible schema registry. Required.
	Registry string
	// RegistryUser and RegistryPassword authenticate at the registry, if set.
	RegistryUser, RegistryPassword string
	// Prefix starts every topic and group name. Default "fieldlog.".
	Prefix string
	// ClientID is what the brokers log for us. Default "fieldlog".
	ClientID string
	// TLS is used for brokers and registry, if set.
	TLS *tls.Config
	// User and Password authenticate at the brokers by SASL (SCRAM-SHA-512), if set.
	User, Password string
	// Replication is the replication factor of topics that are created. Default: the brokers' own.
	Replication int16
	// Partitions replaces the declared partition count of telemetry when it is created. Default: as declared.
	Partitions int32
	// MaxBufferedRecords and MaxBufferedBytes bound what waits to be sent. Defaults 100,000 and 256 MiB.
	MaxBufferedRecords int
	MaxBufferedBytes   int
	// MaxEventBytes bounds one event. Default 1,000,000, what Kafka's brokers take by default.
	MaxEventBytes int
	// Confirm bounds the wait for the brokers' confirmation. Default 10 s, at least 1 s.
	Confirm time.Duration
}

func (c Config) withDefaults() Config {
	set(&c.Prefix, "fieldlog.")
	set(&c.ClientID, "fieldlog")
	set(&c.Replication, -1)
	set(&c.MaxBufferedRecords, 100_000)
	set(&c.MaxBufferedBytes, 256<<20)
	set(&c.MaxEventBytes, 1_000_000)
	set(&c.Confirm, 10*time.Second)
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate names the flag to change.
func (c Config) Validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("no Kafka brokers: set --brokers")
	}
	if c.Registry == "" {
		return errors.New("no schema registry: set --registry")
	}
	if c.Confirm != 0 && c.Confirm < time.Second {
		return errors.New("--confirm is shorter than a second")
	}
	return nil
}
