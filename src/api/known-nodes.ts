import { z } from 'zod';
import { listHosts } from './operations/host.ts';

/**
 * The subsystem by which a person asks a proxy for the nodes that it knows, when no auth server can be asked.
 */
export const knownNodesSubsystem = 'proxynodes';

/** The reply of the proxy, as one JSON value. */
export const knownNodes = z.object({
  hosts: listHosts.output.shape.hosts,
  /** How old this may be; null when the proxy does not know. */
  ageMs: z.number().nonnegative().nullable(),
});
