package engine

import (
	"context"

	"pintle/internal/unit"
)

type actorKey struct{}

// WithActor says in ctx on whose behalf the calls made with it are. Only the
// server of the socket and the boot do this: it is how a peer's credentials,
// which the kernel vouches for, reach the record of an intent.
func WithActor(ctx context.Context, a unit.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf is the actor in ctx, or pintle's own policy where none was set.
func ActorOf(ctx context.Context) unit.Actor {
	if a, ok := ctx.Value(actorKey{}).(unit.Actor); ok {
		return a
	}
	return unit.Policy
}
