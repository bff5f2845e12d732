/*
 * A program for `several-auths.test.ts`: an auth server on a directory store that hears of nothing by itself:
 * no hints, no polling, no looks at the head. Prints one line of JSON with its address and identities, serves
 * until its input ends. Arguments: directory of the store, keyring file, name.
 */
import { randomUUID } from 'node:crypto';
import { NEVER } from 'rxjs';
import { openDirectoryDriver } from '../../backends/dir/open.ts';
import { recordingMetrics } from '../../src/api/testing.ts';
import { createAuthService } from '../../src/auth/service.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { openKeyring } from '../../src/log/keyring-file.ts';
import { openLog } from '../../src/log/open-log.ts';
import { plainListeners } from '../harness/plain-listeners.ts';

const [path = '', keyFile = '', nodename = ''] = process.argv.slice(2);
const hour = 3_600_000;
const driver = await openDirectoryDriver({ path });
const log = await openLog({
  driver: { ...driver, hints: () => NEVER },
  keyring: await openKeyring(keyFile),
  world: realWorld,
  writer: nodename,
  sink: silentLog,
  pollMs: hour,
});
const service = createAuthService({
  log,
  world: realWorld,
  sink: silentLog,
  metrics: recordingMetrics(),
  listeners: plainListeners,
  config: {
    hostId: randomUUID(),
    nodename,
    clusterName: 'example',
    listenAddress: { host: '127.0.0.1', port: 0 },
    publicAddresses: ['127.0.0.1'],
    secondFactor: 'off',
    maxLogLagMs: hour,
    storeSilenceMs: hour,
  },
});
const running = await service.start();
const identityOf = (role: 'Admin' | 'Proxy'): ReturnType<typeof service.issueHostIdentity> =>
  service.issueHostIdentity({ hostId: randomUUID(), nodename, role, additionalPrincipals: [] });
const identities = { admin: await identityOf('Admin'), proxy: await identityOf('Proxy') };
process.stdout.write(`${JSON.stringify({ address: service.listenAddress(), ...identities })}\n`);
process.stdin.on('end', () => {
  void running.stop(0).then(() => log.close());
});
process.stdin.resume();
