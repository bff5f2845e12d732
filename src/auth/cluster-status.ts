import type { z } from 'zod';
import type {
  listAuthorities,
  pingCluster,
  readAuthPreference,
  readClusterStatus,
  readHostAuthorities,
} from '../api/operations.ts';
import { isCoded } from '../base/errors.ts';
import { version } from '../base/version.ts';
import type { AuthorityType } from '../domain/authority.ts';
import { readLogKeys } from '../log/log-key.ts';
import { logTrouble } from '../log/log-trouble.ts';
import { caPinOf } from '../pki/ca-pin.ts';
import type { AuthDeps } from './deps.ts';
import { logLead } from './log-lead.ts';
import { currentDrift } from './file-configuration.ts';
import { clusterOf, signerOfCluster } from './lookups.ts';

export const ping = (deps: AuthDeps): z.input<typeof pingCluster.output> => ({
  clusterName: clusterOf(deps.views).clusterName,
  serverVersion: version,
});

/** Answers while the store is away too, by what was folded last: that is when somebody asks for it. */
export async function clusterStatus(deps: AuthDeps): Promise<z.input<typeof readClusterStatus.output>> {
  const away = await unlessAway(deps.views.fresh().then(() => undefined));
  const logKeys = away === undefined ? await readLogKeys(deps.log.state) : [];
  return {
    ...ping(deps),
    userAuthority: rotationText(deps, 'user'),
    hostAuthority: rotationText(deps, 'host'),
    drift: currentDrift(deps).map((one) => ({ ...one, others: [...one.others] })),
    overQuota: deps.quotas.exceeded().map(({ measure, ...rest }) => ({ quota: measure, ...rest })),
    store: deps.log.store(),
    logKey: logKeys.at(-1)?.publicKey ?? '',
    clock: [deps.clocks.notice(), away === undefined ? await logLead(deps) : undefined]
      .filter((one) => one !== undefined)
      .join('; '),
    trouble:
      logTrouble(deps.log) ??
      deps.clocks.trouble() ??
      deps.lag.trouble() ??
      (away === undefined ? '' : `${away}: this is what was known before`),
    caPins: signerOfCluster(deps.views, 'host').tlsCertificatesPem.map(caPinOf),
  };
}

/** Why the store does not answer; undefined when it does. */
async function unlessAway(asked: Promise<void>): Promise<string | undefined> {
  try {
    await asked;
    return undefined;
  } catch (e) {
    if (!isCoded(e, 'unavailable')) throw e;
    return e.message;
  }
}

/** As `tctl status` of 4.4 words it. */
function rotationText(deps: AuthDeps, type: AuthorityType): string {
  const { state } = deps.views.authorities.state()[type];
  const rotatedAt = state.status === 'created' ? state.rotation.lastRotatedAt : null;
  return rotatedAt === null ? 'never updated' : `rotated ${rotatedAt}`;
}

export const authPreference = (deps: AuthDeps): z.input<typeof readAuthPreference.output> => ({
  type: 'local',
  secondFactor: clusterOf(deps.views).secondFactor,
});

/** What a machine compares with its pin. Anyone may ask, so it costs the store nothing. */
export const hostAuthorities = (deps: AuthDeps): z.input<typeof readHostAuthorities.output> =>
  signerOfCluster(deps.views, 'host');

export async function authorities(
  deps: AuthDeps,
  { type }: z.output<typeof listAuthorities.input>,
): Promise<z.input<typeof listAuthorities.output>> {
  await deps.views.fresh();
  return { authorities: [signerOfCluster(deps.views, type)] };
}
