import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { authorityType } from '../../domain/authority-facts.ts';
import { rotationPhases } from '../../domain/rotation.ts';
import { operation } from '../operation.ts';

/** Every key of the authorities that is trusted now, and which of them sign. Nothing secret. */
export const listAuthorityKeys = operation({
  name: 'authority.keys',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'cert_authority',
  verb: 'readnosecrets',
  input: z.object({}),
  output: z.object({
    clusterName: z.string(),
    keys: z.array(
      z.object({
        authority: authorityType,
        keyId: z.string(),
        /** `SHA256:…` of the SSH key. */
        fingerprint: z.string(),
        /** `sha256:<hex>` of the X.509 key. */
        pin: z.string(),
        since: instant,
        status: z.enum(['signs', 'trusted']),
        /** When its X.509 certificate expires. */
        until: instant,
        /** For a key that a rotation replaces: when the rotation is expected to end, and its phase now. */
        leaving: z.object({ expectedAt: instant, phase: z.enum(rotationPhases) }).optional(),
      }),
    ),
  }),
});

/** The phrase that must be sent, word for word, to get private keys. */
export const exportPhrase = (clusterName: string): string => `export private keys of ${clusterName}`;

/**
 * Private keys of an authority: with them one can pass for anybody in the cluster. Recorded before they
 * leave.
 */
export const exportAuthorityKeys = operation({
  name: 'authority.export-keys',
  repeatable: true,
  who: ['Admin'],
  resource: 'cert_authority',
  verb: 'read',
  input: z.object({ type: authorityType, confirmation: z.string().max(300) }),
  output: z.object({
    keys: z.array(
      z.object({
        fingerprint: z.string(),
        /** OpenSSH's form. */
        sshPrivateKeyPem: z.string(),
        /** PKCS #8. */
        tlsPrivateKeyPem: z.string(),
        tlsCertificatePem: z.string(),
      }),
    ),
  }),
});
