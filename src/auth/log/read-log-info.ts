import { readLogInfo as row } from '../../api/operations/log.ts';
import { logInfo } from '../../log/log-info.ts';
import { implementing } from '../implementing.ts';

export const readLogInfo = implementing(row, async (deps) => {
  const { store, keys, partitions, trouble, outlook, archive } = await logInfo(deps.log);
  return {
    hostId: deps.hostId,
    store: { ...store, figures: { ...store.figures } },
    trouble: trouble ?? deps.lag.trouble() ?? deps.heads.trouble() ?? '',
    outlook,
    archive,
    keys: [...keys],
    partitions: partitions.map((one) => ({ ...one, snapshots: [...one.snapshots] })),
    witnesses: [...deps.witnesses.report()],
  };
});
