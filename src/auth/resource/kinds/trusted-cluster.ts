import { may } from '../../../api/guard.ts';
import type { Call } from '../../../api/server-deps.ts';
import { CodedError } from '../../../base/errors.ts';
import type { ResourceDocument } from '../../../domain/resources/document.ts';
import {
  documentOfTrusted,
  settingsOfDocument,
  type TrustedClusterDocument,
  trustedClusterKind,
} from '../../../domain/resources/trusted-cluster.ts';
import { checkRoleMap } from '../../../domain/role-map.ts';
import { trustedClusterStream } from '../../../domain/streams.ts';
import {
  trustedCluster,
  type TrustedClusterCommand,
  type TrustedClusterSettings,
} from '../../../domain/trusted-cluster.ts';
import type { Position } from '../../../log/event.ts';
import { step, transact } from '../../../log/execute.ts';
import { lookUpRoles } from '../../../views/roles.ts';
import { trustedClusters } from '../../../views/trusted-clusters.ts';
import { isSystemRole } from '../../callers.ts';
import { type AuthDeps, causeOf, termsOf } from '../../deps.ts';
import { trustWith, webAddressOf } from '../../trust/trust-with.ts';
import type { Plan, ServedKind, Wish } from '../served-kind.ts';

/** Clusters whose people are let in here. */
export const servedTrustedClusters: ServedKind = {
  kind: trustedClusterKind,
  list: ({ views }) =>
    Promise.resolve(
      trustedClusters(views.trustedClusters.state()).map(({ clusterName, trust }) =>
        documentOfTrusted(clusterName, trust),
      ),
    ),
  create: (deps, call, wish) => Promise.resolve(creation(deps, call, wish)),
  update: (deps, call, wish) => Promise.resolve(change(deps, call, wish)),
  remove: (deps, call, name) =>
    Promise.resolve({
      commit: async () => {
        const position = await write(deps, call, name, { type: 'delete' }, await deps.views.fresh());
        if (position === undefined) throw new Error('bug: a deletion made no fact');
        return position;
      },
    }),
};

/** The resource gets the name of that cluster, whatever the file calls it: as in 4.4. */
function creation(deps: AuthDeps, call: Call, { document }: Wish): Plan {
  const { settings, token, notices } = wanted(deps, call, document);
  const { name } = document.metadata;
  if (token === undefined)
    throw new CodedError(
      'bad_request',
      'spec.token: that cluster agrees by a token of its own: "tctl tokens add --type=trusted_cluster" there makes one',
    );
  let after: ResourceDocument = documentOfTrusted(name, settings);
  const renamed: string[] = [];
  return {
    get after() {
      return after;
    },
    get notices() {
      return [...notices, ...renamed];
    },
    commit: async () => {
      const { clusterName, position } = await trustWith(deps, call, { settings, token, replaces: undefined });
      after = documentOfTrusted(clusterName, settings);
      if (clusterName !== name)
        renamed.push(`it is called ${JSON.stringify(clusterName)} here, since that cluster calls itself so`);
      return position;
    },
  };
}

/** With a token the keys are exchanged again; without one they stay. */
function change(deps: AuthDeps, call: Call, { document, asOf }: Wish): Plan {
  const { settings, token, notices } = wanted(deps, call, document);
  const { name } = document.metadata;
  const after = documentOfTrusted(name, settings);
  if (token === undefined)
    return { after, notices, commit: () => write(deps, call, name, { type: 'update', settings }, asOf) };
  return {
    after,
    notices,
    // Otherwise a file that changes nothing but the keys would not be carried out.
    isAlwaysCarriedOut: true,
    commit: async () => (await trustWith(deps, call, { settings, token, replaces: name })).position,
  };
}

function wanted(
  deps: AuthDeps,
  call: Call,
  document: ResourceDocument,
): {
  readonly settings: TrustedClusterSettings;
  readonly token: string | undefined;
  readonly notices: readonly string[];
} {
  requireToGiveRoles(call);
  const read = document as TrustedClusterDocument;
  const settings = settingsOfDocument(read);
  checkRoleMap(settings.roleMap);
  webAddressOf(settings.webProxyAddress);
  webAddressOf(settings.tunnelAddress, 'spec.tunnel_addr');
  return { settings, token: read.spec.token, notices: noticesOf(deps, settings) };
}

/**
 * Who maps the roles of a cluster gives roles to people, perhaps of a cluster that is theirs: that takes the
 * right to give anybody any role.
 */
function requireToGiveRoles(call: Call): void {
  if (may(call, 'update', { kind: 'user' })) return;
  throw new CodedError(
    'access_denied',
    'a trusted cluster gives its people roles here: to write one, a rule of your roles has to allow "update" on "user" as well',
  );
}

function noticesOf({ views }: AuthDeps, { roleMap, caPins }: TrustedClusterSettings): readonly string[] {
  const named = [...new Set(roleMap.flatMap(({ local }) => local))].filter((name) => !name.includes('$'));
  const machines = named.filter(isSystemRole);
  if (machines.length > 0)
    throw new CodedError('bad_request', `spec.role_map: ${machines.join(', ')} is a role of machines`);
  const found = lookUpRoles(views.roles.state(), named);
  return [
    ...(found.status === 'missing'
      ? [
          `WARNING: there is no role ${found.names.join(', ')} here: whoever is mapped to it is refused until there is`,
        ]
      : []),
    ...(caPins.length === 0
      ? [
          'WARNING: without spec.ca_pin whoever answers at spec.web_proxy_addr is believed to be that cluster, and is sent the token; ' +
            '"tctl status" there prints its pin',
        ]
      : []),
  ];
}

async function write(
  deps: AuthDeps,
  call: Call,
  name: string,
  command: TrustedClusterCommand,
  asOf: Position,
): Promise<Position | undefined> {
  const { position } = await transact(
    deps.log.state,
    [step(trustedCluster, trustedClusterStream(name), command)],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  return position;
}
