import type { World } from '../base/world.ts';
import type { Cause } from '../log/event.ts';

/** Of what an auth server does by itself, now. */
export const ownCause = ({
  world,
  hostId,
}: {
  readonly world: Pick<World, 'now' | 'uuid'>;
  readonly hostId: string;
}): Cause => ({ at: world.now(), actor: `auth:${hostId}`, requestId: world.uuid() });
