import type { UnknownHost } from '../../ssh/cert-client.ts';
import type { CliIo } from '../cli-io.ts';
import { openPrompter } from '../prompt.ts';
import { plainKeysOf, readKnownHosts, storePlainKey } from './known-hosts.ts';
import type { Settings } from './settings.ts';

/** What to do with hosts that no authority vouches for. */
export interface HostTrust {
  /** For one connection to the host that known_hosts calls `name`. */
  of(name: string): {
    readonly accept: (host: UnknownHost) => Promise<boolean>;
    /** Why the host was refused, when it was. */
    refusal(): string | undefined;
  };
}

/**
 * Refuses, but for a key that a person accepted before, for `-o StrictHostKeyChecking=no` (with a warning), and for
 * `--insecure` after a question on the terminal.
 */
export function createHostTrust(settings: Settings, io: CliIo, strict: boolean): HostTrust {
  return {
    of: (name) => {
      let refusal: string | undefined;
      return {
        refusal: () => refusal,
        accept: async (host) => {
          const ok = await decide(host, name, { settings, io, strict });
          if (!ok) refusal = host.reason;
          return ok;
        },
      };
    },
  };
}

async function decide(
  host: UnknownHost,
  name: string,
  given: { readonly settings: Settings; readonly io: CliIo; readonly strict: boolean },
): Promise<boolean> {
  const { settings, io, strict } = given;
  if (plainKeysOf(readKnownHosts(settings.home), name).some((blob) => blob.equals(host.keyBlob))) return true;
  if (!strict) {
    io.stderr.write(`WARNING: the identity of ${name} is not checked (${host.fingerprint})\n`);
    return true;
  }
  if (!settings.insecure || io.stdin.isTTY !== true) return false;
  const prompter = openPrompter(io.stdin, io.raw.stderr);
  try {
    const question =
      `The authenticity of host '${name}' can't be established: ${host.reason}. Its public key is:\n` +
      `${host.fingerprint}\nAre you sure you want to continue? [y/n]`;
    const yes = /^y(es)?$/i.test((await prompter.line(question)).trim());
    if (yes) storePlainKey(settings.home, name, host.keyBlob);
    return yes;
  } finally {
    prompter.close();
  }
}
