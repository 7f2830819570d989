package main

//	eventlog.Log.Topics (declared beside actual) -> a table, or JSON lines

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

func (p *program) topicsCommand() *cobra.Command {
	var flags logFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "topics",
		Short:   "List the topics: declared and actual, offsets, settings",
		Long:    "Lists every topic Fieldlog declares beside what the brokers have: partitions, replicas, records held, settings.",
		Example: "  fieldlog topics\n  fieldlog topics --json | jq '.partitions[] | select(.partition==3)'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.topics(cmd.Context(), flags, asJSON)
		},
	}
	flags.bind(cmd.Flags(), defaultBrokers, defaultRegistry)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines, with the offsets of every partition")
	return cmd
}

func (p *program) topics(ctx context.Context, flags logFlags, asJSON bool) error {
	logger, err := p.logger()
	if err != nil {
		return err
	}
	log, err := flags.open(ctx, logger)
	if err != nil {
		return err
	}
	defer log.Close()
	all, err := log.Topics(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return p.topicsJSON(all)
	}
	t := table{header: []string{"topic", "partitions", "declared", "replicas", "records", "settings", "holds"}, right: []bool{1: true, 2: true, 3: true, 4: true, 6: false}}
	for _, s := range all {
		t.rows = append(t.rows, topicRow(s))
	}
	_, err = p.stdout.Write(t.text(p.columns))
	return err
}

func topicRow(s eventlog.TopicStatus) []string {
	declared := strconv.Itoa(int(s.Partitions))
	if !s.Exists {
		return []string{s.FullName, "missing", declared, "", "", "", s.Doc}
	}
	var records eventlog.Offset
	for _, r := range s.Ranges {
		records += r.Next - r.First
	}
	var configs []string
	for _, name := range slices.Sorted(maps.Keys(s.Configs)) {
		configs = append(configs, name+"="+s.Configs[name])
	}
	return []string{
		s.FullName, strconv.Itoa(int(s.ActualPartitions)), declared, strconv.Itoa(s.Replication),
		fmt.Sprint(records), strings.Join(configs, " "), s.Doc,
	}
}

// topicLine is a topic in JSON.
type topicLine struct {
	Topic       string            `json:"topic"`
	Exists      bool              `json:"exists"`
	ID          string            `json:"id,omitempty"`
	Declared    int32             `json:"declared_partitions"`
	Replication int               `json:"replication,omitempty"`
	Partitions  []partitionLine   `json:"partitions,omitempty"`
	Configs     map[string]string `json:"configs,omitempty"`
	Doc         string            `json:"doc"`
}

type partitionLine struct {
	Partition eventlog.Partition `json:"partition"`
	First     eventlog.Offset    `json:"first"`
	Next      eventlog.Offset    `json:"next"`
}

func (p *program) topicsJSON(all []eventlog.TopicStatus) error {
	out := json.NewEncoder(p.stdout)
	for _, s := range all {
		l := topicLine{
			Topic: s.FullName, Exists: s.Exists, Declared: s.Partitions,
			Replication: s.Replication, Configs: s.Configs, Doc: s.Doc,
		}
		if s.Exists {
			l.ID = s.ID.String()
		}
		for partition, r := range s.Ranges {
			l.Partitions = append(l.Partitions, partitionLine{partition, r.First, r.Next})
		}
		slices.SortFunc(l.Partitions, func(a, b partitionLine) int { return cmp.Compare(a.Partition, b.Partition) })
		if err := out.Encode(l); err != nil {
			return err
		}
	}
	return nil
}
