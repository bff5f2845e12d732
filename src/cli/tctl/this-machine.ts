import { CodedError, isCoded } from '../../base/errors.ts';
import {
  type Configuration,
  defaultConfigPath,
  readConfiguration,
} from '../../process/configuration/configuration.ts';
import { loadIdentity } from '../../process/identity/identity-store.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';

/** @throws CodedError `misconfigured` */
export const configurationFor = (invocation: Invocation, io: CliIo): Configuration =>
  readConfiguration(
    { config: invocation.text('config'), configString: invocation.text('config-string') },
    io.env,
  );

export type ThisMachine =
  | {
      readonly status: 'known';
      readonly configuration: Configuration;
      /** @throws CodedError where there is none, or it may not be read. */
      readonly identity: () => AdminIdentity;
    }
  /** No admin identity, and no flag that names one: a person may act from here. */
  | { readonly status: 'stranger'; readonly because: string };

type AdminIdentity = NonNullable<ReturnType<typeof loadIdentity>>;

/**
 * What tctl knows of the machine it runs on. Whoever names a configuration or an auth server means that
 * cluster, and is never taken to another one where somebody happens to be logged in.
 */
export function machineOf(invocation: Invocation, io: CliIo): ThisMachine {
  const isNamed =
    (io.env['TELEPORT_CONFIG'] ?? '') !== '' ||
    ['identity', 'config', 'config-string', 'auth-server'].some((flag) => invocation.given(flag));
  let configuration: Configuration;
  try {
    configuration = configurationFor(invocation, io);
  } catch (e) {
    if (isNamed || !isCoded(e) || !isForbidden(e.cause)) throw e;
    return { status: 'stranger', because: `this user may not read ${defaultConfigPath}` };
  }
  if (isNamed) return { status: 'known', configuration, identity: () => identityOf(configuration) };
  const found = lookForIdentity(configuration);
  if (found.status === 'found') return { status: 'known', configuration, identity: () => found.identity };
  const where = `${configuration.dataDir}/proc`;
  return {
    status: 'stranger',
    because:
      found.status === 'absent'
        ? `there is no admin identity in ${where}`
        : `this user may not read the admin identity in ${where}`,
  };
}

type Lookup =
  | { readonly status: 'found'; readonly identity: AdminIdentity }
  | { readonly status: 'absent' | 'forbidden' };

const isForbidden = (e: unknown): boolean => (e as NodeJS.ErrnoException | undefined)?.code === 'EACCES';

function lookForIdentity({ dataDir }: Configuration): Lookup {
  try {
    const identity = loadIdentity(dataDir, 'Admin');
    return identity === undefined ? { status: 'absent' } : { status: 'found', identity };
  } catch (e) {
    if (!isForbidden(e)) throw e;
    return { status: 'forbidden' };
  }
}

function identityOf(configuration: Configuration): AdminIdentity {
  const where = `looked for the admin identity in ${configuration.dataDir}/proc`;
  const found = lookForIdentity(configuration);
  if (found.status === 'found') return found.identity;
  if (found.status === 'forbidden')
    throw new CodedError(
      'access_denied',
      `${where}, but this user may not read it: run tctl as the user that runs teleport`,
    );
  throw new CodedError(
    'unavailable',
    `tctl must be either used on the auth server, after its first start, or provided with the identity file via --identity flag (${where}; name its configuration with --config)`,
  );
}
