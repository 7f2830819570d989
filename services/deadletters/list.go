package deadletters

import (
	"context"
	"errors"

	"github.com/fieldlog/fieldlog/projections/deadletters"
)

// errEnough ends a list early.
var errEnough = errors.New("enough")

// List yields the chosen letters that are in one of the states, partition by partition, in the order in which they were
// written. Yield ends it by returning false.
func (d *Desk) List(ctx context.Context, s *Selection, states []deadletters.State, yield func(*Letter) bool) error {
	partitions, err := d.partitions(ctx)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		f, err := d.read(ctx, p, s)
		if err != nil {
			return err
		}
		err = d.at(ctx, p, f.in(states), func(l *Letter) error {
			if !yield(l) {
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// in returns the chosen letters that are in one of the states.
func (f *folded) in(states []deadletters.State) []deadletters.Letter {
	var letters []deadletters.Letter
	for i, l := range f.fold.Letters() {
		for _, s := range states {
			if f.chosen[i] && l.State == s {
				letters = append(letters, l)
			}
		}
	}
	return letters
}
