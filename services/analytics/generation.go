package analytics

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// Stored says where the rows of a generation are, for those who read them.
type Stored struct {
	Generation int
	// Group is the consumer group whose offsets say how far the tables are.
	Group eventlog.Group
	// Readings, Reports and Duplicates are the names of the tables, with database, quoted.
	Readings, Reports, Duplicates string
	// ReadingsDays, ReportsDays and DuplicatesDays are how long rows are kept after their time; 0 is for ever.
	ReadingsDays, ReportsDays, DuplicatesDays int
}

// Locate finds a generation's tables. Generation 0 is the one that the public names show.
func Locate(ctx context.Context, ch *clickhouse.Client, group eventlog.Group, generation int) (Stored, error) {
	if generation == 0 {
		var err error
		if generation, err = public(ctx, ch); err != nil {
			return Stored{}, err
		}
	}
	cfg := Config{Group: group, Generation: generation}.withDefaults()
	s := schema{cfg: cfg, ch: ch}
	found := Stored{
		Generation: generation, Group: GroupOf(cfg),
		Readings: s.Table("readings"), Reports: s.Table("reports"), Duplicates: s.Table("duplicates"),
	}
	for name, days := range map[string]*int{
		"readings": &found.ReadingsDays, "reports": &found.ReportsDays, "duplicates": &found.DuplicatesDays,
	} {
		var err error
		if *days, err = s.retained(ctx, name); err != nil {
			return Stored{}, fmt.Errorf("find generation %d: %w", generation, err)
		}
	}
	return found, nil
}

var behind = regexp.MustCompile("readings_g([0-9]+)")

// public returns the generation behind the public names.
func public(ctx context.Context, ch *clickhouse.Client) (int, error) {
	var definition string
	query := fmt.Sprintf("SELECT create_table_query FROM system.tables WHERE database = %s AND name = 'readings'", clickhouse.Quote(ch.Database()))
	if err := ch.Scan(ctx, query, &definition); err != nil {
		return 0, fmt.Errorf("find the generation behind view %q: %w", "readings", err)
	}
	found := behind.FindStringSubmatch(definition)
	if found == nil {
		return 0, fmt.Errorf("view %q of database %q shows no generation's table", "readings", ch.Database())
	}
	return strconv.Atoi(found[1])
}
