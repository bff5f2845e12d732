import type { Duplex } from 'node:stream';
import type { HostPort } from '../../base/service.ts';
import type { World } from '../../base/world.ts';
import type { CurrentIdentity } from '../../pki/current-identity.ts';
import { relayStatement } from '../../pki/relay-statement.ts';
import type { OpenAuth } from '../ssh/open-auth.ts';

/**
 * A connection to an auth server for a machine that this proxy passes on, which has been told from where
 * that comes.
 * @param client undefined: it has left.
 * @throws CodedError `unavailable`
 */
export type OpenRelay = (client: HostPort | undefined, signal: AbortSignal) => Promise<Duplex>;

export const relayOpener =
  (open: OpenAuth, identity: CurrentIdentity, world: Pick<World, 'now'>): OpenRelay =>
  async (client, signal) => {
    const server = await open({ by: 'a machine that is passed on', signal });
    if (client !== undefined) server.write(relayStatement({ client, at: world.now() }, identity.current()));
    return server;
  };
