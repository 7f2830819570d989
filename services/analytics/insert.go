package analytics

import (
	"context"
	"fmt"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
)

// group is the rows of one block that go to one table and month. They are one part: all of them are there, or none is.
type group struct {
	clickhouse.InsertOptions
	witness func() witness
}

// maxTokens bounds the inserts of one group whose tokens were noted in vain. Each takes a crash of ClickHouse at one moment, so more
// of them mean that something else is wrong, and none is sent.
const maxTokens = 3

// insert stores a group. The token alone does not do: a table that is not replicated notes it first and commits the part after that
// (ClickHouse's MergeTreeSink), and does not take it back when it dies or fails between the two. Nor is the note flushed to
// the disk with the part. So the token keeps inserts apart that are under way at the same time, and a group that somebody may have
// tried before goes like this:
//
//  1. Look for it. If it is there, that is all, unless views depend on the table: they may lack it, and get it by step 2.
//  2. Insert it. An insert of the same token that still runs on the server comes first, or not at all. Crash of ClickHouse: from 1.
//  3. Look again. If it is not there, its token was noted in vain: from 2 with the next token, "<token>#1" and so on.
//
// Whoever uses the n-th token has seen that all before it came to nothing, so no two of them can store the group.
func (s *store) insert(ctx context.Context, g group) error {
	token := g.Token
	for n := 0; n < maxTokens; n++ {
		var seen clickhouse.Sight
		if s.of.Again || s.doubted {
			var err error
			if seen, err = s.look(ctx, &g); err != nil {
				return err
			}
			if seen.Sure && seen.There && (n > 0 || !seen.Watched) {
				return nil
			}
		}
		if n > 0 {
			g.Token = fmt.Sprintf("%s#%d", token, n)
		}
		sent, err := s.sink.ch.Insert(ctx, g.InsertOptions)
		if err != nil {
			s.doubted = true
			return err
		}
		s.sink.metrics.inserted(&g.InsertOptions, sent)
		if !seen.Sure {
			return nil // nobody tried it before, or the token is to be believed
		}
	}
	return fmt.Errorf("ClickHouse accepted %d inserts into %q and shows none: is it one server?", maxTokens, g.Table)
}

func (s *store) look(ctx context.Context, g *group) (clickhouse.Sight, error) {
	w := g.witness()
	return s.sink.ch.Look(ctx, g.Table, w.where, w.args...)
}
