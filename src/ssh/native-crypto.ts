import { createRequire } from 'node:module';

/** True when ssh2's native part was built. Without it every cipher works, several times slower. */
export function hasNativeCrypto(): boolean {
  try {
    createRequire(import.meta.url)('ssh2/lib/protocol/crypto/build/Release/sshcrypto.node');
    return true;
  } catch {
    return false;
  }
}
