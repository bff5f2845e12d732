import type { z } from 'zod';
import type { readLogInfo } from '../api/log-info.ts';
import { logInfo } from '../log/log-info.ts';
import type { AuthDeps } from './deps.ts';

export async function logInfoOf(deps: AuthDeps): Promise<z.input<typeof readLogInfo.output>> {
  const { store, keys, partitions, trouble } = await logInfo(deps.log);
  return {
    hostId: deps.hostId,
    store: { ...store, figures: { ...store.figures } },
    trouble: trouble ?? deps.lag.trouble() ?? deps.heads.trouble() ?? '',
    keys: [...keys],
    partitions: partitions.map((one) => ({ ...one, snapshots: [...one.snapshots] })),
    witnesses: [...deps.witnesses.report()],
  };
}
