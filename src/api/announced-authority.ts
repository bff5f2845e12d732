import { z } from 'zod';
import { instant } from '../base/time.ts';
import { signedAnnouncement } from '../domain/authority-facts.ts';
import type { AuthorityState, RetiredKey } from '../domain/authority-state.ts';
import { caPinOf } from '../pki/ca-pin.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../pki/ssh-key.ts';

/** A key of an authority that is not trusted any more, as a cluster claims it: nothing proves it. */
export const withdrawnKey = z.object({
  /** Of the SSH key, `SHA256:<base64>`. */
  fingerprint: z.string(),
  /** Of the X.509 authority, `sha256:<hex>`. */
  caPin: z.string(),
  at: instant,
  by: z.string(),
  /** As `RetiredKey`; a newer release may have further reasons. */
  why: z.string(),
});
export type WithdrawnKey = z.infer<typeof withdrawnKey>;

/** The published part of an authority, for whoever knows an earlier key of it. */
export const announcedAuthority = z.object({
  /** Left out before the first rotation. The reader has it checked by `verifyAnnouncement`. */
  announcement: signedAnnouncement.optional(),
  /** The one that was withdrawn last comes last. */
  withdrawn: z.array(withdrawnKey).default([]),
});
export type AnnouncedAuthority = z.infer<typeof announcedAuthority>;

/** Anyone may ask for it, so it is made once for each state. */
const made = new WeakMap<AuthorityState, AnnouncedAuthority>();

/** What an authority in this state publishes. */
export function announcedOf(state: AuthorityState): AnnouncedAuthority {
  const known = made.get(state);
  if (known !== undefined) return known;
  const announced: AnnouncedAuthority =
    state.status === 'absent'
      ? { withdrawn: [] }
      : {
          ...(state.announcement === undefined ? {} : { announcement: state.announcement }),
          withdrawn: state.retired.map(withdrawn),
        };
  made.set(state, announced);
  return announced;
}

const withdrawn = ({ key, at, by, why }: RetiredKey): WithdrawnKey => ({
  fingerprint: fingerprint(fromAuthorizedKeyLine(key.sshPublicKey)),
  caPin: caPinOf(key.tlsCertificatePem),
  ...{ at, by, why },
});
