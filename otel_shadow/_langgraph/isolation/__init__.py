"""What V2 gets instead of everything that reaches production.

===========================  ================================================  ===================
what V2 could reach          what it gets                                      module
===========================  ================================================  ===================
stream, callbacks, tracing   its own, which nothing listens to                  configuration
state, channels, context     copies of what they were when V1 was called       configuration
checkpoint namespace, tasks  a task and a namespace of its own                 configuration
answers to interrupts        a copy; V1's answer stays where it is             configuration
``@task`` calls              run here and now, not by production's runner      tasks
stores                       reads go through, writes stay inside the shadow   stores
checkpoints                  an empty saver in memory                          stores
model answers in caches      production's may be read, V2's stay inside        models
tools                        blocked, allowed, or answered by V1's result      tools
graphs that V2 calls         private stores and savers, no node cache          guards
states that V2 reads         its own, else what V1 read                        states
LangGraph servers            reads; runs without their thread, or none         remote
thread pools                 daemon threads, which may hang                    guards
LangGraph's own classes      copies, which patches of production don't touch   langgraph_copies
===========================  ================================================  ===================

Side effects that LangChain doesn't know are guarded by ``side_effect`` (``otel_shadow._runtime.side_effects``). What a
SQLite store holds is read by ``otel_shadow._langgraph.store_reads``.
"""
