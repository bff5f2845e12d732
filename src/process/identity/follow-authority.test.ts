import { describe, expect, it } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { authoritiesView } from '../../views/authorities.ts';
import { openView } from '../../views/open-view.ts';
import { followHostAuthority, hostAuthorityOf } from './follow-authority.ts';
import type { FollowedAuthority } from './renew-identity.ts';

const at = '2026-01-01T00:00:00.000Z';
const created = {
  type: 'authority.created',
  data: {
    ...{ type: 'host', clusterName: 'example' },
    keys: [{ keyId: 'k', sshPublicKey: 'ssh', tlsCertificatePem: 'tls', activeFrom: at }],
  },
};

describe('the host authority as a machine follows it', () => {
  it.each(['by a view that is open', 'by a fold of its own'])(
    '%s is what the log has, as it comes',
    async (how) => {
      const world = fakeWorld();
      const log = memoryLog({ world });
      const view = await openView(authoritiesView, log.state);
      const own = followHostAuthority(log.state, recordingSink());
      const followed: FollowedAuthority = how === 'by a fold of its own' ? own : hostAuthorityOf(view);
      expect(followed.state()).toEqual({ status: 'absent' });
      const changed = new Promise<void>((resolve) => {
        const following = followed.subscribe(() => {
          if (followed.state().status === 'absent') return;
          following.unsubscribe();
          resolve();
        });
      });
      const cause = { at, actor: 'auth', requestId: world.uuid() };
      await log.state.append([{ stream: 'authority-host', expected: 0, facts: [created] }], cause);
      await changed;
      expect(followed.state()).toMatchObject({ status: 'created', keys: [{ keyId: 'k' }] });
      own.close();
      view.close();
      await log.close();
    },
  );
});
