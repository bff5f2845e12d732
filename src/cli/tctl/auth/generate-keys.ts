import { writeFileAtomic } from '../../../base/files.ts';
import { generateEd25519 } from '../../../pki/key-pair.ts';
import { encodeOpensshPrivateKey } from '../../../pki/openssh-private-key.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { Run } from '../../program.ts';

/** `tctl auth gen`: asks no auth server. */
export const generateKeys: Run = (invocation, io) => {
  const [publicPath, privatePath] = [invocation.text('pub-key') ?? '', invocation.text('priv-key') ?? ''];
  const key = generateEd25519();
  writeFileAtomic(publicPath, `${toAuthorizedKeyLine(publicKeyOf(key).blob)}\n`, 0o600);
  writeFileAtomic(privatePath, encodeOpensshPrivateKey(key, ''), 0o600);
  io.stdout.write(`wrote public key to: ${publicPath} and private key to: ${privatePath}\n`);
  return 0;
};
