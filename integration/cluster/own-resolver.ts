import { resolve } from 'node:path';
import { nameLookup, type LookUpName } from '../../src/base/name-lookup.ts';
import { ResolverProcess } from '../../src/base/resolver-process.ts';
import { startResolver } from '../../src/process/start-resolver.ts';

/** argv that runs our own hidden commands. */
export const programPath = [process.execPath, resolve('src/cli/teleport/run.ts')];

/** What the daemon gives to its services, for a service without a daemon. */
export function openResolver(): { readonly lookUpName: LookUpName; close(): void } {
  const resolver = new ResolverProcess(() => startResolver([...programPath, 'look-up-names']));
  return {
    lookUpName: nameLookup(resolver.ask),
    close: () => {
      resolver.close();
    },
  };
}
