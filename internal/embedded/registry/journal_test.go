package registry

import "testing"

func FuzzDecodeChange(f *testing.F) {
	f.Add([]byte(`{"method":"POST","path":"/subjects/a/versions","body":"e30=","status":200,"answer":"e30="}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := decodeChange(value)
		if err == nil && (c.Path[0] != '/' || c.Method == "") {
			t.Errorf("took %q for a change", value)
		}
	})
}
