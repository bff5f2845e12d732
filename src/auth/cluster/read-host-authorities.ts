import { announcedOf } from '../../api/announced-authority.ts';
import { readHostAuthorities as row } from '../../api/operations/cluster.ts';
import { implementing } from '../implementing.ts';
import { signerOfCluster } from '../lookups.ts';

/**
 * What a machine compares with its pin, and by which it follows a rotation. Anyone may ask, so it costs the
 * store nothing.
 */
export const readHostAuthorities = implementing(row, ({ views }) =>
  Promise.resolve({
    ...signerOfCluster(views, 'host'),
    ...announcedOf(views.authorities.state().host.state),
  }),
);
