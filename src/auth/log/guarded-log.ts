import type { ClusterLog, EventLog } from '../../log/event-log.ts';

/**
 * The log, as this auth server may write it: while `require` refuses, nothing is appended, no snapshot is
 * taken, and a store that went back cannot be recovered. Reads are still served, and secrets that are not
 * needed any more are destroyed.
 */
export const guardedLog = (log: ClusterLog, require: () => void): ClusterLog => ({
  state: guarded(log.state, require),
  attempts: guarded(log.attempts, require),
  presence: guarded(log.presence, require),
  audit: guarded(log.audit, require),
  archive: log.archive,
  keys: {
    ...log.keys,
    create: async (...key) => {
      require();
      return log.keys.create(...key);
    },
  },
  takeSnapshot: async (...snapshot) => {
    require();
    return log.takeSnapshot(...snapshot);
  },
  seal: async (...sealing) => {
    require();
    return log.seal(...sealing);
  },
  lookFor: (...known) => log.lookFor(...known),
  recovery: (partition) => log.recovery(partition),
  recover: async (...recovery) => {
    require();
    return log.recover(...recovery);
  },
  growth: (partition) => log.growth(partition),
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
  appended: (...append) => log.appended(...append),
  revision: (...of) => log.revision(...of),
  history: (...range) => log.history(...range),
  partsWith: (...terms) => log.partsWith(...terms),
  indexTerms: async (terms) => {
    require();
    return log.indexTerms(terms);
  },
  positionBefore: (at) => log.positionBefore(at),
  streamsNamed: (prefix) => log.streamsNamed(prefix),
  milestone: (position) => log.milestone(position),
  head: () => log.head(),
  unseal: (event, name) => log.unseal(event, name),
  destroySecrets: (event) => log.destroySecrets(event),
  destroyKeys: (keyIds) => log.destroyKeys(keyIds),
  follow: (...after) => log.follow(...after),
  holds: (...event) => log.holds(...event),
  snapshot: (name) => log.snapshot(name),
});
