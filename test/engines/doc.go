// Package engines runs real engines for tests: an Apache Kafka cluster (three brokers, KRaft, replication 3,
// min.insync.replicas 2) and a schema registry with the Confluent API (Apicurio), every one a process of its own on free
// ports of 127.0.0.1. It needs JDK 17 and Maven on the PATH and brings everything else itself.
//
//	c := engines.StartTest(t, engines.Options{})   // ready; gone when the test ends; logs are shown if it failed
//	c.Brokers(), c.Registry()                      // what a client is given
//	c.Broker(0).Kill()                             // SIGKILL; also Stop, Pause, Resume, Start
//	c.Broker(0).Start()                            // the same data, the same ports
//	c.Ready(ctx)                                   // every broker answers, every replica is in sync, the registry answers
//
// Promises:
//
//   - [Install] brings the pinned packages once into the user's cache folder. Any number of processes may call it at the
//     same time; a folder that is there is complete.
//   - A process that is killed and started again has the addresses and the data it had. Nothing an engine has acknowledged is
//     lost by a SIGKILL: Kafka has it in the page cache of three processes, the registry commits each schema to its file.
//   - [Process.Kill] and [Process.Stop] return when the process is gone. [Process.Start] returns when it runs, which is
//     before it answers: wait with [Cluster.Ready].
//   - On Linux the processes die with the one that started them, however it ends. Elsewhere Close ends them.
//   - Ports are below those the system hands out by itself, so that nobody else gets a broker's port while it is down.
//   - With [Options.Advertise] clients are sent to other addresses than the brokers listen on, such as those of a proxy
//     that injects faults; with [Options.AdvertisePeer] other brokers are. Ready and the controllers' quorum pass by them.
//
// The brokers are also the three controllers: one of them may be down and the cluster elects leaders; with two of them down
// it accepts nothing until one is back.
//
// The command engines/with runs any command with the engines' addresses in its environment.
package engines
