import { z } from 'zod';
import { CodedError, isCoded } from '../base/errors.ts';
import { regexpReplace } from './login-function.ts';

/** Which roles people of another cluster get here for one of theirs. */
export const roleMapping = z.object({
  /** A role there; `*` stands for any characters, and `^…$` is an expression. */
  remote: z.string().min(1).max(256),
  /** Roles here. `$1` is what the first group, or the first `*`, matched. */
  local: z.array(z.string().min(1).max(256)).min(1).max(64),
});
export type RoleMapping = z.infer<typeof roleMapping>;

export const roleMap = z.array(roleMapping).min(1).max(128);
export type RoleMap = readonly RoleMapping[];

/**
 * What a certificate of another cluster may name: whatever is matched is bounded, since that cluster decides
 * what is in it.
 */
export const remoteRoleLimits = { roles: 128, length: 256 } as const;

/** What one mapping makes of a role: the roles here, none where it does not match. */
type Mapper = (role: string) => readonly string[];

/** Everything that has a meaning in an expression. */
const special = /[\\^$.|?*+()[\]{}]/g;

/**
 * Compiles a mapping. Expressions never backtrack, as everywhere in roles. Source: behaviour of 4.4, where a
 * star is a group as well.
 * @throws CodedError `bad_request` for an expression that cannot be read, or a group that is not there.
 */
function mapperOf({ remote, local }: RoleMapping): Mapper {
  const begins = remote.startsWith('^');
  if (begins !== remote.endsWith('$') || remote === '^' || remote === '$')
    throw new CodedError(
      'bad_request',
      `${JSON.stringify(remote)}: an expression is written "^…$"; without these "*" stands for any characters`,
    );
  const parts = remote.split('*').map((part) => part.replace(special, String.raw`\$&`));
  const pattern = begins ? remote : `^${parts.join('(.*)')}$`;
  const replacements = local.map((one) => regexpReplace(pattern, one));
  return (role) =>
    replacements.flatMap((replace) => {
      const name = replace(role);
      return name === undefined || name === '' ? [] : [name];
    });
}

/** @throws CodedError `bad_request` with the place in the document of what cannot be matched. */
export function checkRoleMap(map: RoleMap): void {
  for (const [i, mapping] of map.entries())
    try {
      mapperOf(mapping);
    } catch (e) {
      if (!isCoded(e)) throw e;
      throw new CodedError(e.code, `spec.role_map[${i}]: ${e.message}`, { cause: e });
    }
}

const kept = new WeakMap<RoleMap, readonly Mapper[]>();

/** A mapping that this release cannot read maps nothing: it never gives anybody a role. */
function mappersOf(map: RoleMap): readonly Mapper[] {
  const known = kept.get(map);
  if (known !== undefined) return known;
  const mappers = map.map((mapping): Mapper => {
    try {
      return mapperOf(mapping);
    } catch (e) {
      if (!isCoded(e)) throw e;
      return () => [];
    }
  });
  kept.set(map, mappers);
  return mappers;
}

/**
 * The roles here of somebody who has these in another cluster: each once, in the order in which they come.
 * None where nothing matches, and none at all where there are more, or longer ones, than `remoteRoleLimits`.
 */
export function mapRoles(map: RoleMap, remote: readonly string[]): readonly string[] {
  const { roles, length } = remoteRoleLimits;
  if (remote.length > roles || remote.some((role) => role.length > length)) return [];
  const mappers = mappersOf(map);
  return [...new Set(remote.flatMap((role) => mappers.flatMap((mapper) => mapper(role))))];
}
