import type { AuthClient } from '../../api/client.ts';
import { readClusterStatus } from '../../api/operations/cluster.ts';
import { everyHost } from '../../api/listed-hosts.ts';
import { createToken, deleteToken } from '../../api/operations/token.ts';
import { CodedError } from '../../base/errors.ts';
import { formatHostPort } from '../../base/service.ts';
import { parseTokenRoles, tokenLimits, type TokenRole } from '../../domain/join-token.ts';
import { parseNamePatterns } from '../../domain/name-patterns.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { parseNumber, parseTtl } from '../duration.ts';
import { printable } from '../../base/printable.ts';
import { withAuth } from './connect.ts';
import { heardOrDone, orLost } from './lost-answer.ts';

/** `tctl nodes add` */
export const addNode = (invocation: Invocation, io: CliIo): Promise<number> =>
  newToken(invocation, io, { roles: 'roles', value: 'token' });

/** `tctl tokens add` */
export const addToken = (invocation: Invocation, io: CliIo): Promise<number> =>
  newToken(invocation, io, { roles: 'type', value: 'value' });

/**
 * Makes a token and prints the command line with which a machine uses it. `flags` has each command's names
 * for them.
 */
async function newToken(
  invocation: Invocation,
  io: CliIo,
  flags: { readonly roles: string; readonly value: string },
): Promise<number> {
  const roles = parseTokenRoles(invocation.text(flags.roles) ?? '');
  if (roles.length === 0)
    throw new CodedError(
      'bad_request',
      `--${flags.roles}: expected node, proxy, or both; or trusted_cluster`,
    );
  const ttlSeconds = parseTtl(invocation.text('ttl') ?? '', '--ttl');
  const usesText = invocation.text('uses');
  const most = { min: 1, max: tokenLimits.maxUses };
  const uses = usesText === undefined ? undefined : parseNumber(usesText, most, '--uses');
  const names = parseNamePatterns(invocation.text('names') ?? '');
  const value = invocation.text(flags.value);
  const text = await withAuth(invocation, io, async (auth, configuration) => {
    const wanted = {
      roles,
      ttlSeconds,
      ...(uses === undefined ? {} : { uses }),
      ...(names.length === 0 ? {} : { names }),
      ...(value === undefined ? {} : { value }),
    };
    const made = await orLost(
      auth.call(createToken, wanted),
      'remove the token ("tctl tokens ls", "tctl tokens rm"), and make another',
    );
    const { token, tokenId } = made;
    if (made.names.length !== names.length) throw await withdrawn(auth, tokenId, io);
    if (invocation.text('format') === 'json') return `${JSON.stringify([token])}\n`;
    const { caPins, lastingCaPin, clusterName } = await auth.call(readClusterStatus, {});
    if (roles.includes('Trusted_cluster'))
      return clusterText({ token, tokenId, ttlSeconds, caPins, lastingCaPin, clusterName });
    const servers = await authServers(auth);
    return joinText({
      token,
      tokenId,
      roles,
      ttlSeconds,
      uses,
      patterns: names,
      caPins,
      lastingCaPin,
      servers:
        servers.length > 0 || configuration === undefined
          ? servers
          : [formatHostPort(configuration.listen.auth)],
    });
  });
  io.stdout.write(text);
  return 0;
}

/** A token without the requested limits must not be used. */
async function withdrawn(auth: AuthClient, tokenId: string, io: CliIo): Promise<CodedError> {
  await heardOrDone(auth.call(deleteToken, { token: tokenId }), io);
  return new CodedError(
    'unavailable',
    '--names: the auth server is of an older release, which limits no names; the token was deleted again. Update it first',
  );
}

/** Where auth servers that are alive listen. */
async function authServers(auth: AuthClient): Promise<string[]> {
  const hosts = await everyHost(auth, { role: 'Auth' });
  return hosts.filter(({ address }) => address !== '').map(({ address }) => printable(address));
}

/**
 * For the operators of the other cluster. Source: 4.4 prints a text of its own for this type; the resource is
 * ours.
 */
function clusterText({
  token,
  tokenId,
  ttlSeconds,
  caPins,
  lastingCaPin,
  clusterName,
}: Pick<Join, 'token' | 'tokenId' | 'ttlSeconds' | 'caPins' | 'lastingCaPin'> & {
  readonly clusterName: string;
}): string {
  const minutes = Math.floor(ttlSeconds / 60);
  return [
    `The cluster invite token: ${token}`,
    `This token will expire in ${minutes} minutes`,
    '',
    `Use this token when defining a trusted cluster resource on a remote cluster, which then lets in the`,
    `people of ${clusterName}:`,
    '',
    'kind: trusted_cluster',
    'version: v2',
    `metadata: {name: ${clusterName}}`,
    'spec:',
    '  enabled: true',
    `  token: "${token}"`,
    `  ca_pin: [${caPins.map((pin) => `"${pin}"`).join(', ')}]`,
    '  web_proxy_addr: <proxyhost>:3080',
    '  tunnel_addr: <proxyhost>:3024',
    '  role_map: [{remote: <role here>, local: [<role there>]}]',
    '',
    'Please note:',
    '',
    '  - The token admits one cluster',
    `  - It is not shown again; "tctl tokens ls" and "tctl tokens rm" know it as ${tokenId}`,
    ...(lastingCaPin === ''
      ? []
      : [`  - The host authority is being rotated: keep ${lastingCaPin}, no other pin is valid after that`]),
    '',
  ].join('\n');
}

interface Join {
  readonly token: string;
  readonly tokenId: string;
  readonly roles: readonly TokenRole[];
  readonly ttlSeconds: number;
  readonly uses: number | undefined;
  readonly patterns: readonly string[];
  readonly caPins: readonly string[];
  /** Of several: the one that stays valid after the current rotation. Otherwise empty. */
  readonly lastingCaPin: string;
  readonly servers: readonly string[];
}

/** Source: layout of 4.4; the text after the second note is ours. */
function joinText({
  token,
  tokenId,
  roles,
  ttlSeconds,
  uses,
  patterns,
  caPins,
  lastingCaPin,
  servers,
}: Join): string {
  const names = roles.map((role) => role.toLowerCase());
  const minutes = Math.floor(ttlSeconds / 60);
  const flags = [
    `--roles=${names.join(',')}`,
    `--token=${token}`,
    ...caPins.map((pin) => `--ca-pin=${pin}`),
    ...servers.map((server) => `--auth-server=${server}`),
  ];
  return [
    `The invite token: ${token}`,
    `This token will expire in ${minutes} minutes`,
    '',
    'Run this on the new node to join the cluster:',
    '',
    `teleport start \\`,
    flags.map((flag) => `   ${flag}`).join(' \\\n'),
    '',
    'Please note:',
    '',
    `  - This invitation token will expire in ${minutes} minutes`,
    `  - ${servers.join(', ')} must be reachable from the new node`,
    `  - The token is not shown again; "tctl tokens ls" and "tctl tokens rm" know it as ${tokenId}`,
    ...(lastingCaPin === ''
      ? []
      : [`  - The host authority is being rotated: keep ${lastingCaPin}, no other pin is valid after that`]),
    ...usesNote(uses, names),
    ...(patterns.length === 0 ? [] : [`  - It admits machines that are called ${patterns.join(', ')}`]),
    '',
  ].join('\n');
}

function usesNote(uses: number | undefined, names: readonly string[]): string[] {
  if (uses === undefined) return [];
  const joins = uses === 1 ? 'one join' : `${uses} joins`;
  const both = names.length > 1 ? `; a machine that runs ${names.join(' and ')} needs ${names.length}` : '';
  return [`  - It admits ${joins}${both}`];
}
