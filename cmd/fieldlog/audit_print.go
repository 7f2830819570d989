package main

//	auditor.Result -> a table and lines for people, or JSON lines

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/fieldlog/fieldlog/services/auditor"
)

func (p *program) printAudit(r *auditor.Result, asJSON bool) error {
	if asJSON || p.columns == 0 {
		return p.auditJSON(r)
	}
	t := table{
		header: []string{"topic", "partition", "hour", "accepted", "log", "readings", "stored", "letters", "copies", "pending", "unclaimed"},
		right:  []bool{1: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true, 10: true},
	}
	for _, row := range r.Rows {
		t.rows = append(t.rows, auditCells(row))
	}
	if _, err := p.stdout.Write(t.text(p.columns)); err != nil {
		return err
	}
	for _, d := range r.Differences {
		fmt.Fprintln(p.stdout, d)
	}
	if r.More > 0 {
		fmt.Fprintf(p.stdout, "and %d more ranges\n", r.More)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(p.stdout, "note:", note)
	}
	_, err := fmt.Fprintln(p.stdout, verdict(r))
	return err
}

func verdict(r *auditor.Result) string {
	if n := len(r.Differences) + r.More; n > 0 {
		return fmt.Sprintf("DIFFERENT in %d ranges, generation %d, %s", n, r.Generation, r.Window)
	}
	return fmt.Sprintf("all agree, generation %d, %s", r.Generation, r.Window)
}

func auditCells(r auditor.Row) []string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		string(r.Topic), number(int64(r.Partition)), r.Hour.Format("2006-01-02 15:04"), number(r.Accepted), number(r.Log), number(r.Readings),
		number(r.Stored), number(r.DeadLetters), number(r.Copies), number(r.Pending), number(r.Unclaimed),
	}
}

// The lines of an audit in JSON: rows, differences, notes, and the summary last.
type (
	auditRow struct {
		Topic       string    `json:"topic"`
		TopicID     string    `json:"topic_id"`
		Partition   int32     `json:"partition"`
		Hour        time.Time `json:"hour"`
		First       int64     `json:"first"`
		Last        int64     `json:"last"`
		Accepted    int64     `json:"accepted"`
		Log         int64     `json:"log"`
		Readings    int64     `json:"readings"`
		Stored      int64     `json:"stored"`
		DeadLetters int64     `json:"dead_letters"`
		Copies      int64     `json:"copies"`
		Pending     int64     `json:"pending"`
		Unclaimed   int64     `json:"unclaimed"`
		Expired     int64     `json:"expired_readings"`
	}
	auditDifference struct {
		Difference auditor.Kind `json:"difference"`
		Table      string       `json:"table,omitempty"`
		Topic      string       `json:"topic"`
		TopicID    string       `json:"topic_id"`
		Partition  int32        `json:"partition"`
		Instance   string       `json:"instance,omitempty"`
		First      int64        `json:"first"`
		Last       int64        `json:"last"`
		Text       string       `json:"text"`
	}
	auditNote struct {
		Note string `json:"note"`
	}
	auditSummary struct {
		From        time.Time `json:"from,omitzero"`
		To          time.Time `json:"to,omitzero"`
		Generation  int       `json:"generation"`
		Differences int       `json:"differences"`
	}
)

func (p *program) auditJSON(r *auditor.Result) error {
	out := json.NewEncoder(p.stdout)
	var err error
	put := func(line any) {
		if err == nil {
			err = out.Encode(line)
		}
	}
	for _, row := range r.Rows {
		put(auditRow{
			Topic: string(row.Topic), TopicID: row.TopicID.String(), Partition: int32(row.Partition), Hour: row.Hour,
			First: int64(row.Range.First), Last: int64(row.Range.Next) - 1, Accepted: row.Accepted, Log: row.Log, Readings: row.Readings,
			Stored: row.Stored, DeadLetters: row.DeadLetters, Copies: row.Copies, Pending: row.Pending, Unclaimed: row.Unclaimed, Expired: row.Expired,
		})
	}
	for _, d := range r.Differences {
		put(auditDifference{
			Difference: d.Kind, Table: d.Table, Topic: string(d.Topic), TopicID: d.TopicID.String(), Partition: int32(d.Partition),
			Instance: d.Instance, First: int64(d.Range.First), Last: int64(d.Range.Next) - 1, Text: d.String(),
		})
	}
	for _, note := range r.Notes {
		put(auditNote{note})
	}
	put(auditSummary{r.Window.From, r.Window.To, r.Generation, len(r.Differences) + r.More})
	return err
}
