import { readTrusted } from '../api/join-client.ts';
import { second } from '../base/time.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import { startTimer, stopTimer } from '../base/timers.ts';
import type { World } from '../base/world.ts';

/** Asked before a cluster is created, which is not urgent. */
const patienceMs = 3 * second;

/** The first of these servers that reports a cluster's authorities; undefined when none does soon. */
export async function servingOf(servers: readonly HostPort[], world: World): Promise<string | undefined> {
  if (servers.length === 0) return undefined;
  const asked = servers.map(async (server) => {
    await readTrusted(server, [], world);
    return formatHostPort(server);
  });
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = startTimer(() => {
    resolve(undefined);
  }, patienceMs);
  try {
    // None of them: refused, silent, or not an auth server.
    return await Promise.race([Promise.any(asked).catch(() => undefined), late]);
  } finally {
    stopTimer(timer);
  }
}
