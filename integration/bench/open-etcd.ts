import { openEtcdDriver } from '../../backends/etcd/open.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';

/** For `openInProcess`: `<url> <prefix>`. */
export function connect(argument: string): Promise<SlotDriver> {
  const [url = '', prefix = ''] = argument.split(' ');
  const options = { peers: [url], prefix, insecure: false, dialTimeoutMs: 5_000 };
  return openEtcdDriver(options, { sink: silentLog, world: realWorld });
}
