import type { z } from 'zod';
import { readClusterStatus as row } from '../../api/operations/cluster.ts';
import { isCoded } from '../../base/errors.ts';
import { version } from '../../base/version.ts';
import type { AuthorityType } from '../../domain/authority-facts.ts';
import { keyThatLasts } from '../../domain/authority-state.ts';
import { factsLevel } from '../../domain/critical.ts';
import { expectedEnd } from '../../domain/rotation.ts';
import { rotationWords } from '../../domain/rotation-words.ts';
import { readLogKeys } from '../../log/log-key.ts';
import { logTrouble } from '../../log/log-trouble.ts';
import { caPinOf } from '../../pki/ca-pin.ts';
import { oldestUnderstanding } from '../../views/understanding.ts';
import type { AuthDeps } from '../deps.ts';
import { logLead } from '../log/log-lead.ts';
import { currentDrift } from '../file-configuration.ts';
import { implementing } from '../implementing.ts';
import { clusterOf, signerOfCluster } from '../lookups.ts';

/** Replies from what was folded last while the store is away too: that is when somebody asks for it. */
export const readClusterStatus = implementing(row, async (deps) => {
  const silence = deps.contact.refusal();
  // When it is known already that the store is away, the call does not wait for it.
  const away =
    silence === undefined
      ? await unlessAway(deps.views.fresh().then(() => undefined))
      : `this auth server ${silence}`;
  const logKeys = away === undefined ? await readLogKeys(deps.log.state) : [];
  return {
    clusterName: clusterOf(deps.views).clusterName,
    serverVersion: version,
    userAuthority: rotationText(deps, 'user'),
    hostAuthority: rotationText(deps, 'host'),
    drift: currentDrift(deps).map((one) => ({ ...one, others: [...one.others] })),
    overQuota: deps.quotas.exceeded().map(({ measure, ...rest }) => ({ quota: measure, ...rest })),
    store: deps.log.store(),
    outlook: away === undefined ? await deps.outlook() : undefined,
    logKey: logKeys.at(-1)?.publicKey ?? '',
    clock: [deps.clocks.notice(), away === undefined ? await logLead(deps) : undefined]
      .filter((one) => one !== undefined)
      .join('; '),
    factsRead: factsReadBy(deps),
    trouble:
      logTrouble(deps.log) ??
      deps.clocks.trouble() ??
      silence ??
      deps.lag.trouble() ??
      (away === undefined ? '' : `${away}: this is what was known before`),
    caPins: signerOfCluster(deps.views, 'host').tlsCertificatesPem.map(caPinOf),
    lastingCaPin: lastingCaPin(deps),
  };
});

/** How many of the hosts with the lowest level are named. */
const namedHosts = 3;

function factsReadBy({ views }: AuthDeps): z.input<typeof row.output>['factsRead'] {
  const oldest = oldestUnderstanding(views.hosts.state(), views.presence.state(), views.clock.monotonic());
  if (oldest === undefined) return undefined;
  const names = oldest.hosts.map(({ nodename, role, version: of }) => `${nodename} (${role} ${of})`).sort();
  return { level: oldest.level, own: factsLevel, hosts: names.slice(0, namedHosts), count: names.length };
}

/** Why the store does not reply; undefined when it does. */
async function unlessAway(asked: Promise<void>): Promise<string | undefined> {
  try {
    await asked;
    return undefined;
  } catch (e) {
    if (!isCoded(e, 'unavailable')) throw e;
    return e.message;
  }
}

/** Which key stays is known as soon as there are two: the new one, or after a rollback the old one. */
function lastingCaPin({ views }: AuthDeps): string {
  const { state } = views.authorities.state().host;
  const lasting = keyThatLasts(state);
  return lasting === undefined ? '' : caPinOf(lasting.tlsCertificatePem);
}

/** In the words of `tctl status` of 4.4. */
function rotationText({ views }: AuthDeps, type: AuthorityType): string {
  const { state } = views.authorities.state()[type];
  if (state.status !== 'created') return rotationWords({ phase: 'standby' });
  const { rotation } = state;
  return rotation.phase === 'standby'
    ? rotationWords(rotation)
    : rotationWords({ ...rotation, underWay: { ...rotation, endsAt: expectedEnd(rotation) } });
}
