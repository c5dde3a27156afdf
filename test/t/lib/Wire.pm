# A client that keeps every byte the server says, but the rows that it asked
# for. psql would show only part of it, and repeats its own queries besides.
#
#   my $wire = Wire->new($node, 'app', 'postgres');
#   $wire->query('SELECT 1');
#   $wire->prepare('', 'SELECT $1'); $wire->execute('', 'x');
#   $wire->copy('COPY t FROM STDIN', "1\tx\n");
#   $wire->said;

package Wire;

use strict;
use warnings;

use IO::Socket::UNIX;

sub new
{
	my ($class, $node, $database, $user) = @_;
	my $socket = IO::Socket::UNIX->new($node->host . '/.s.PGSQL.' . $node->port)
	  or die "cannot connect: $!";
	my $self = bless { socket => $socket, said => '' }, $class;
	my $startup = pack('N', 196608)
	  . join('', map { "$_\0" } user => $user, database => $database, '');

	$socket->print(pack('N', 4 + length $startup) . $startup);
	$socket->flush;
	$self->receive;
	return $self;
}

sub said { return $_[0]->{said}; }

sub put
{
	my ($self, $type, $body) = @_;
	$self->{socket}->print($type . pack('N', 4 + length $body) . $body);
	$self->{socket}->flush;
	return;
}

sub take
{
	my ($self, $n) = @_;
	my $bytes = '';

	while (length $bytes < $n)
	{
		read($self->{socket}, $bytes, $n - length $bytes, length $bytes)
		  or die "the server has closed the connection\n";
	}
	return $bytes;
}

# Everything up to the next ReadyForQuery, or CopyInResponse
sub receive
{
	my ($self) = @_;

	while (1)
	{
		my ($type, $length) = unpack('aN', $self->take(5));
		my $body = $self->take($length - 4);

		$self->{said} .= "$type$body\n" unless $type =~ /[DdK]/;
		$self->{state} = $1 if $type eq 'E' && $body =~ /C(.{5})\0/;
		return $type if $type eq 'Z' || $type eq 'G';
	}
}

# The SQLSTATE of what went wrong, if anything did
sub finish
{
	my ($self) = @_;

	$self->{state} = '00000';
	$self->receive;
	return $self->{state};
}

sub start { my ($self, $sql) = @_; return $self->put('Q', "$sql\0"); }

sub query
{
	my ($self, $sql) = @_;
	$self->start($sql);
	return $self->finish;
}

sub copy
{
	my ($self, $sql, $data) = @_;

	$self->start($sql);
	$self->{state} = '00000';
	return $self->{state} if $self->receive eq 'Z';
	$self->put('d', $data);
	$self->put('c', '');
	return $self->finish;
}

sub prepare
{
	my ($self, $name, $sql) = @_;

	$self->put('P', "$name\0$sql\0" . pack('n', 0));
	$self->put('S', '');
	return $self->finish;
}

sub execute
{
	my ($self, $name, @values) = @_;

	$self->put('B', "\0$name\0" . pack('nn', 0, scalar @values)
		  . join('', map { pack('N', length) . $_ } @values) . pack('n', 0));
	$self->put('E', "\0" . pack('N', 0));
	$self->put('S', '');
	return $self->finish;
}

1;
