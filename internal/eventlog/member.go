package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// leaveTime bounds how long a member waits for the coordinator when it leaves. Apache Kafka keeps a member that joins waiting as
// long as it misses one that was killed, which is a session timeout, and the client would wait with it.
const leaveTime = 5 * time.Second

// member is a client that belongs to a group.
type member struct {
	*kgo.Client
	end context.CancelFunc
}

// newMember joins the group that opts name.
func (l *Log) newMember(opts ...kgo.Opt) (*member, error) {
	ctx, end := context.WithCancel(context.Background())
	client, err := kgo.NewClient(append(append(l.clientOptions(), kgo.WithContext(ctx)), opts...)...)
	if err != nil {
		end()
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	return &member{client, end}, nil
}

// leave revokes every partition, which takes up to drain, leaves the group and closes the client. A member that cannot say
// goodbye in time is missed after a session timeout.
func (m *member) leave(drain time.Duration) {
	enough := time.AfterFunc(drain+leaveTime, m.end)
	defer enough.Stop()
	m.CloseAllowingRebalance()
	m.end()
}
