import { z } from 'zod';
import { listHosts } from './operations/host.ts';

/**
 * The subsystem by which a person asks a proxy for the nodes that it knows: for when no auth server can be
 * asked.
 */
export const knownNodesSubsystem = 'proxynodes';

/** What the proxy sends then, as one JSON value. */
export const knownNodes = z.object({
  hosts: listHosts.output.shape.hosts,
  /** For so long this may be out of date; null when the proxy cannot say. */
  ageMs: z.number().nonnegative().nullable(),
});
