import type { Call } from '../../api/server-deps.ts';
import { parseHostPort } from '../../base/addresses.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import type { HostPort } from '../../base/service.ts';
import { isClusterName } from '../../domain/names.ts';
import { trustedClusterStream } from '../../domain/streams.ts';
import { trustedCluster, type TrustedClusterSettings } from '../../domain/trusted-cluster.ts';
import type { Position } from '../../log/event.ts';
import { step, transact } from '../../log/execute.ts';
import { caPinOf } from '../../pki/ca-pin.ts';
import { findTrusted } from '../../views/trusted-clusters.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { clusterOf } from '../lookups.ts';
import { hostsBehind } from '../resource/hosts-that-read.ts';
import { ownStatement } from './own-statement.ts';
import { requireOwnKeys, statedKeys } from './stated-keys.ts';

/** What 4.4 has for a web port that is left out. */
const webPort = 3080;

/** Where a trusted cluster is asked. @throws CodedError `bad_request` with the place in the document */
export function webAddressOf(text: string, place = 'spec.web_proxy_addr'): HostPort {
  try {
    return parseHostPort(text, webPort);
  } catch (e) {
    if (!isCoded(e)) throw e;
    throw new CodedError('bad_request', `${place}: ${e.message}`, { cause: e });
  }
}

export interface Trusting {
  readonly settings: TrustedClusterSettings;
  /** Of that cluster. */
  readonly token: string;
  /** The name that it has here; undefined: it is not trusted yet. */
  readonly replaces: string | undefined;
}

/**
 * Makes this cluster trust another one: that one agrees by its token, and is then called as it calls itself.
 * Between its agreement and our record this server may end: whoever asks again with the same token gets the
 * same.
 * @throws CodedError as that cluster refuses; `access_denied` for what it states that cannot be
 */
export async function trustWith(
  deps: AuthDeps,
  call: Call,
  { settings, token, replaces }: Trusting,
): Promise<{ readonly clusterName: string; readonly position: Position | undefined }> {
  requireReadByAll(deps);
  const own = clusterOf(deps.views).clusterName;
  const server = webAddressOf(settings.webProxyAddress);
  if (settings.caPins.length === 0)
    deps.sink.warn(
      'a cluster is asked to be trusted without a pin: whoever answers at its address is believed to be it, and gets the token',
      { address: settings.webProxyAddress, advice: 'give spec.ca_pin: "tctl status" there prints it' },
    );
  const asked = { token, clusterName: own, host: await ownStatement(deps, 'host') };
  const { answer, knownBy } = await deps.otherClusters.establish({ server, pins: settings.caPins }, asked);
  const { clusterName } = answer;
  const refuse = (why: string): CodedError =>
    new CodedError('access_denied', `the cluster at ${settings.webProxyAddress} is not trusted: ${why}`);
  if (!isClusterName(clusterName)) throw refuse('what it calls itself cannot be the name of a cluster');
  if (clusterName === own) throw refuse(`it is called ${JSON.stringify(own)}, as this one is`);
  if (replaces !== undefined && replaces !== clusterName)
    throw refuse(`it is called ${JSON.stringify(clusterName)}, and not ${JSON.stringify(replaces)}`);
  const host = statedKeys(deps, { clusterName, type: 'host', statement: answer.host, after: 0 });
  const user = statedKeys(deps, { clusterName, type: 'user', statement: answer.user, after: 0 });
  if (!host.keys.some((key) => knownBy.includes(caPinOf(key.tlsCertificatePem))))
    throw refuse('the host authority that it states is not the one that it was known by');
  const asOf = await deps.views.fresh();
  if (replaces === undefined && findTrusted(deps.views.trustedClusters.state(), clusterName) !== undefined)
    throw new CodedError(
      'already_exists',
      `trusted_cluster ${JSON.stringify(clusterName)} already exists: give it that name in the file, and use -f or --force flag to overwrite`,
    );
  requireOwnKeys(deps, clusterName, { host: host.keys, user: user.keys });
  const { position } = await transact(
    deps.log.state,
    [
      step(trustedCluster, trustedClusterStream(clusterName), {
        ...{ type: 'establish', replace: replaces !== undefined, settings, host, user },
      }),
    ],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  deps.sink.info('another cluster is trusted', { cluster: clusterName, enabled: settings.enabled });
  return { clusterName, position };
}

/**
 * @throws CodedError `bad_request` while a host is alive that would not learn of a cluster that is
 * disabled.
 */
function requireReadByAll(deps: AuthDeps): void {
  const behind = hostsBehind(deps, 'trustedClusters');
  if (behind === undefined) return;
  throw new CodedError(
    'bad_request',
    `this cluster trusts another one when all of its hosts know what that is, and ${behind} do not yet: upgrade first`,
  );
}
