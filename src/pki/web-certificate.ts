import { plusMs, type Instant } from '../base/time.ts';
import { generateP256, privateKeyPem } from './key-pair.ts';
import { isAlternativeName } from './x509-alternative-names.ts';
import { oids } from './x509-der.ts';
import { selfSigned } from './x509.ts';

const yearSeconds = 365 * 24 * 3600;

/**
 * A certificate for the web port where none is configured: for one year, for these names, and for this
 * machine itself. Names that X.509 cannot express are left out: no browser can ask for them either.
 */
export function selfSignedWebCertificate({
  hostnames,
  now,
}: {
  hostnames: readonly string[];
  now: Instant;
}): {
  keyPem: string;
  certificatePem: string;
} {
  const privateKey = generateP256();
  const certificatePem = selfSigned({
    privateKey,
    subject: [
      { oid: oids.country, value: 'US' },
      { oid: oids.organization, value: 'localhost' },
      { oid: oids.commonName, value: 'localhost' },
    ],
    names: [...new Set([...hostnames.filter(isAlternativeName), 'localhost', '127.0.0.1', '::1'])],
    now,
    until: plusMs(now, yearSeconds * 1000),
  });
  return { keyPem: privateKeyPem(privateKey), certificatePem };
}
