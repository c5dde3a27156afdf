# Stands between a client and the server, passes everything on, and looks at
# every byte that the client gets. What the client sends as a simple query can
# be changed on its way.

package Eavesdropper;

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use POSIX ();

# A socket in DIRECTORY, named as libpq expects it, in front of that of SERVER.
# The callbacks: on_query gets a query and returns what is to be sent instead;
# on_message gets the type and body of each message of the server's.
sub new
{
	my ($class, %params) = @_;
	my $path = "$params{directory}/.s.PGSQL.$params{port}";

	unlink $path;
	my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 5)
	  or die "cannot listen on $path: $!";
	return bless { %params, listener => $listener }, $class;
}

# Passes messages on for as long as a child process lives; its exit status,
# or nothing when time is up.
sub watch
{
	my ($self, $child, $seconds) = @_;
	my $end    = time + $seconds;
	my $select = IO::Select->new($self->{listener});
	my $status;

	while (1)
	{
		for my $socket ($select->can_read(0.1))
		{
			if ($socket == $self->{listener})
			{
				$select->add(map { $_->{socket} } $self->connect_through);
			}
			elsif ($self->{side}{$socket} && !$self->pass_on($self->{side}{$socket}))
			{
				$select->remove($self->hang_up($self->{side}{$socket}));
			}
		}
		next if $select->count > 1 && time < $end;
		return if time >= $end;
		return $status if defined $status;
		$status = $? if waitpid($child, POSIX::WNOHANG) == $child;
	}
}

# The two sides of a connection know each other.
sub connect_through
{
	my ($self) = @_;
	my $client = { socket => scalar $self->{listener}->accept, buffer => '', started => 0 };
	my $server = {
		socket => IO::Socket::UNIX->new(Peer => $self->{server}),
		buffer => '',
		started => 1,
		is_server => 1 };

	die "cannot connect to $self->{server}: $!" unless $server->{socket};
	$client->{peer} = $server;
	$server->{peer} = $client;
	$self->{side}{ $_->{socket} } = $_ for $client, $server;
	return ($client, $server);
}

sub hang_up
{
	my ($self, $side) = @_;
	my @sockets = map { $_->{socket} } $side, $side->{peer};

	delete $self->{side}{$_} for @sockets;
	delete $side->{peer}{peer};
	close $_ for @sockets;
	return @sockets;
}

# Whole messages go on, the start of another waits for the rest of it. The
# first of a client has a length only, all others a type and a length.
sub pass_on
{
	my ($self, $side) = @_;
	my $out = '';

	sysread($side->{socket}, $side->{buffer}, 65536, length $side->{buffer})
	  or return 0;
	while (1)
	{
		my $head = $side->{started} ? 1 : 0;

		last if length $side->{buffer} < $head + 4;
		my $length = $head + unpack('N', substr($side->{buffer}, $head, 4));
		last if length $side->{buffer} < $length;
		my $message = substr($side->{buffer}, 0, $length, '');

		$out .= $side->{started} ? $self->inspect($side, $message) : $message;
		$side->{started} = 1;
	}
	return send_all($side->{peer}{socket}, $out);
}

sub inspect
{
	my ($self, $side, $message) = @_;
	my $type = substr($message, 0, 1);

	if ($side->{is_server})
	{
		$self->{on_message}->($type, substr($message, 5));
		return $message;
	}
	return $message unless $type eq 'Q';
	my $query = $self->{on_query}->(substr($message, 5, -1)) . "\0";
	return 'Q' . pack('N', 4 + length $query) . $query;
}

sub send_all
{
	my ($socket, $data) = @_;
	my $sent = 0;

	while ($sent < length $data)
	{
		$sent += syswrite($socket, $data, length($data) - $sent, $sent) // return 0;
	}
	return 1;
}

1;
