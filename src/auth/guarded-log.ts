import type { ClusterLog, EventLog } from '../log/event-log.ts';

/**
 * The log, as this auth server may write it: nothing is appended, and no snapshot taken, while `require` refuses. What is
 * read is served all the same.
 */
export const guardedLog = (log: ClusterLog, require: () => void): ClusterLog => ({
  state: guarded(log.state, require),
  presence: guarded(log.presence, require),
  audit: guarded(log.audit, require),
  takeSnapshot: async (...snapshot) => {
    require();
    return log.takeSnapshot(...snapshot);
  },
  inspect: (partition) => log.inspect(partition),
  stats: () => log.stats(),
  store: () => log.store(),
  close: () => log.close(),
});

const guarded = (log: EventLog, require: () => void): EventLog => ({
  append: async (...append) => {
    require();
    return log.append(...append);
  },
  read: (...from) => log.read(...from),
  revision: (stream) => log.revision(stream),
  history: (after) => log.history(after),
  positionBefore: (at) => log.positionBefore(at),
  head: () => log.head(),
  unseal: (event, name) => log.unseal(event, name),
  destroySecrets: (event) => log.destroySecrets(event),
  follow: (after) => log.follow(after),
  snapshot: (name) => log.snapshot(name),
});
