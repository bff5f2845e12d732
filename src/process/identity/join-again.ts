import type { joinCluster } from '../../api/join-client.ts';
import { CodedError, errorCodes, isCoded } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { HostPort } from '../../base/service.ts';
import type { World } from '../../base/world.ts';
import type { ReplaceableIdentity } from '../../pki/current-identity.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { generateEd25519 } from '../../pki/key-pair.ts';
import { type JoinSettings, readToken } from '../configuration/join-settings.ts';
import type { WantedNames } from './certified-names.ts';
import { loadIdentity, replaceIdentity, saveIdentity } from './identity-store.ts';
import { tellLackingNames } from './obtain-identity.ts';

/** Auth servers that refuse the identity of a machine whose service runs. */
export interface Refusal {
  /** `stranger`: their authority is none that this machine knows. */
  readonly by: 'own-cluster' | 'stranger';
  readonly servers: readonly HostPort[];
  /** What they say, each with its address. */
  readonly why: string;
}

/** What a service does about a refusal while it runs. */
export interface JoiningAgain {
  /** @returns what is left for the operator to do; undefined: nothing, another identity is in use. */
  refused(refusal: Refusal): Promise<string | undefined>;
  /** Whatever was tried is over: the identity in use is admitted. */
  admitted(): void;
}

export interface JoiningAgainDeps {
  readonly settings: JoinSettings;
  readonly dataDir: string;
  readonly identity: ReplaceableIdentity;
  readonly names: WantedNames;
  readonly joinCluster: typeof joinCluster;
  readonly world: World;
  readonly sink: LogSink;
  /** Waited for before it joins. */
  readonly pass: () => Promise<void>;
}

/**
 * Joins the cluster again by the configured token when its own auth servers refuse the identity, because the
 * key that signed it has left or because it has ended: each token once, until the identity is admitted. The
 * old identity is kept beside the new one. A server whose authority is not known gets nothing.
 */
export function joinAgain(deps: JoiningAgainDeps): JoiningAgain {
  const { settings, dataDir, identity, sink } = deps;
  const { role, hostId } = identity.current();
  const key = generateEd25519();
  /** Told last. */
  let bug = '';
  let tried: { readonly token: string; readonly left: string } | undefined;

  const join = async ({ servers, why }: Refusal, token: string): Promise<string | undefined> => {
    const held = identity.current();
    await deps.pass();
    const joining = { hostId, role: joinRoleOf(held), ...deps.names, key, token: () => token };
    const trust = { servers, pins: settings.pins, known: held.tlsCasPem };
    const joined = await deps.joinCluster(trust, joining, deps.world);
    if (joined.clusterName !== held.clusterName)
      throw new CodedError('access_denied', `the auth server is of the cluster "${joined.clusterName}"`);
    // What is refused is kept, also where somebody removed its file.
    if (stored(deps) === undefined) saveIdentity(dataDir, held);
    const kept = replaceIdentity(dataDir, joined, deps.world.now());
    identity.replace({ client: joined, server: joined });
    sink.warn(
      `this machine joined again as ${role} with the configured token, since its identity was refused; ` +
        'the old identity is kept',
      { hostId, role, cluster: joined.clusterName, why, kept },
    );
    tellLackingNames(joined, deps.names, sink);
    return undefined;
  };

  return {
    admitted: () => {
      tried = undefined;
    },
    refused: async (refusal) => {
      if (takeStored(deps)) return undefined;
      if (refusal.by === 'stranger') return unknownAuthority(role);
      if (settings.token === undefined)
        return `this machine has no token to join again with: ${remedy(role)}`;
      try {
        const token = readToken(settings);
        if (tried?.token === token) return tried.left;
        tried = { token, left: `what it then got for its token is refused as well: ${remedy(role)}` };
        return await join(refusal, token);
      } catch (e) {
        const text = `this machine could not join again by its token (${(e as Error).message})`;
        if (isCoded(e) && !errorCodes[e.code].retry && tried !== undefined)
          return (tried = { ...tried, left: `${text}: ${remedy(role)}` }).left;
        tried = undefined;
        if (!isCoded(e) && text !== bug) sink.error(text, { role, stack: (e as Error).stack });
        bug = text;
        return `${text}; it tries again by itself`;
      }
    },
  };
}

const joinRoleOf = ({ role }: HostIdentity): 'Proxy' | 'Node' => (role === 'Proxy' ? 'Proxy' : 'Node');

const makeToken = (role: string): string => `"tctl tokens add --type=${role.toLowerCase()}"`;
const reload = 'reload it ("systemctl reload teleport", or SIGHUP): those who are connected stay';

const remedy = (role: string): string =>
  `run ${makeToken(role)} on an auth server, set auth_token in the configuration of this machine to what it prints, and ${reload}`;

const unknownAuthority = (role: string): string =>
  'the authority that answers is none that this machine knows, so its token was not sent there. If the authorities were rotated ' +
  'while this machine was away, or replaced at once: in its configuration set ca_pin to what "tctl status" prints on an auth ' +
  `server and auth_token to a token of ${makeToken(role)}, and ${reload}`;

/** Undefined where there is none that can be read. */
function stored({ dataDir, identity }: JoiningAgainDeps): HostIdentity | undefined {
  const { role, hostId } = identity.current();
  try {
    return loadIdentity(dataDir, role, hostId);
  } catch (e) {
    if (!isCoded(e, 'misconfigured')) throw e;
    return undefined;
  }
}

/** Another process of this data directory, before or after a reload, may have joined again already. */
function takeStored(deps: JoiningAgainDeps): boolean {
  const { identity } = deps;
  const other = stored(deps);
  const held = identity.current();
  if (other?.clusterName !== held.clusterName) return false;
  if (other.tlsCertificatePem === held.tlsCertificatePem) return false;
  identity.replace({ client: other, server: other });
  return true;
}
