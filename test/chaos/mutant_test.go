package chaos

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is the program with one promise's mechanism taken out.
type mutant struct {
	name string
	// edits replace a text in a file of the module. Each text must be there once: a mutant that is none would pass.
	edits []edit
	// act is what must bring the mutant down, and leaves the program itself unharmed.
	act act
	// caught are the kinds of violation, one of which must be found.
	caught []kind
	// audited says that the program's own audit finds it too. It compares readings and the gateways' receipts.
	audited bool
}

type edit struct{ file, from, to string }

// mutants are the known ways to lose or to double.
var mutants = []mutant{
	{
		name: "commit before insert",
		edits: []edit{{
			"internal/eventlog/worker.go",
			"return w.session.commit(w.ctx, w, block.First, note)",
			"return w.session.commit(w.ctx, w, block.Last+1, announcement{topicID: note.topicID})",
		}},
		act: killBetweenAnnouncementAndInsert, caught: []kind{missing}, audited: true,
	},
	{
		// Without a token ClickHouse knows a block by its content, which would do here: no token is no deduplication.
		name: "no token",
		edits: []edit{
			{"internal/clickhouse/insert.go", `values.Set("insert_deduplication_token", o.Token)`, `values.Set("deduplicate_insert", "disable")`},
			{"services/analytics/insert.go", "if s.of.Again || s.doubted {", "if false {"}, // nor a look
		},
		act: loseAnswers, caught: []kind{doubled}, audited: true,
	},
	{
		// The table itself keeps its partitions apart. A view that depends on it does not.
		name:  "token without partition value",
		edits: []edit{{"services/analytics/store.go", "s.of.First, s.of.Last, table, month)", "s.of.First, s.of.Last, table, 0*month)"}},
		act:   blocksOfTwoMonths, caught: []kind{missing},
	},
	{
		name:  "another split on retry",
		edits: []edit{{"internal/eventlog/session.go", "w.again = &note", "w.again = nil"}},
		act:   killBetweenInsertAndConfirmation, caught: []kind{doubled, rollup},
	},
	{
		name: "acknowledgement before the log",
		edits: []edit{
			{"internal/eventlog/batch.go", "time.NewTimer(b.log.cfg.Confirm)", "time.NewTimer(time.Millisecond)"},
			{"internal/eventlog/batch.go", "case !e.told:", "case false:"},
		},
		act: killBeforeTheLogHasIt, caught: []kind{lost},
	},
	{
		name: "progress of the registrar kept outside its state",
		edits: []edit{{
			"services/registrar/clerk.go",
			"state := clients.Published(c.states[client])",
			"state := clients.Published(c.states[client])\n\t\tstate.OrdersNext, state.Handled = 0, nil",
		}},
		act: killBetweenOrders, caught: []kind{doubled},
	},
	{
		name: "provisioner that does not read what it did",
		edits: []edit{{
			"services/provisioner/owner.go",
			"o.partition, eventlog.ProvisioningTopics(), o.state.Apply",
			"o.partition, []eventlog.Topic{eventlog.TopicClients}, o.state.Apply",
		}},
		act: killBetweenOrders, caught: []kind{doubled},
	},
	{
		// The site itself does nothing twice: only its count of acts tells.
		name:  "provisioner that acts twice",
		edits: []edit{{"services/provisioner/breaker.go", "err := g.Do(ctx, t.order, t.step)", "_ = g.Do(ctx, t.order, t.step)\n\terr := g.Do(ctx, t.order, t.step)"}},
		act:   placeOrders, caught: []kind{doubled},
	},
}

// build builds a mutant through the compiler's overlay: the source tree is not touched.
func (m *mutant) build(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replaced := map[string]string{}
	for _, e := range m.edits {
		source := filepath.Join(root, e.file)
		from := source
		if replaced[source] != "" {
			from = replaced[source]
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), e.from); n != 1 {
			t.Fatalf("%s holds %q %d times, and must once: bring the mutant up to date", e.file, e.from, n)
		}
		replaced[source] = filepath.Join(dir, strings.ReplaceAll(e.file, "/", "_"))
		if err := os.WriteFile(replaced[source], []byte(strings.Replace(string(text), e.from, e.to, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "fieldlog")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./cmd/fieldlog")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the mutant: %v\n%s", err, out)
	}
	return program
}
