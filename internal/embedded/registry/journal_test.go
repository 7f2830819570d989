package registry

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// FuzzDecodeChange offers records that anybody may have put on the topic. What is taken for a change can be made again, whatever
// comes of it, and is written as it was read.
func FuzzDecodeChange(f *testing.F) {
	f.Add([]byte(`{"method":"POST","path":"/subjects/a/versions","body":"eyJzY2hlbWEiOiJcInN0cmluZ1wiIn0=","status":200,"answer":"eyJpZCI6MX0="}`))
	f.Add([]byte(`{"method":"PUT","path":"/config/a?x=%20","body":"e30=","status":299}`))
	f.Add([]byte(`{"method":"POST","path":"/a b","status":200}`))
	f.Add([]byte(`{"method":"P T","path":"/","status":200}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := decodeChange(value)
		if err != nil {
			return
		}
		if status, _ := perform(srfake.NewRegistry().Handler(), c.Method, c.Path, c.Body); status < 100 {
			t.Errorf("%q was answered with %d", value, status)
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeChange(text)
		if err != nil {
			t.Fatalf("%q became %q: %v", value, text, err)
		}
		if twice, err := json.Marshal(again); err != nil || !bytes.Equal(twice, text) {
			t.Errorf("%q became %q, then %q (%v)", value, text, twice, err)
		}
	})
}
